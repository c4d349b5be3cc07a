"""Settings that depend on one another, and the digest of those that affect records."""

from typing import Any

import pytest

from onlooker.config.schema import Config, Faces, Match, Pipeline, SourceConfig, Text
from onlooker.config.section import ConfigError
from onlooker.config.serving import Serve
from onlooker.config.shared_store import Store


def test_the_digest_follows_what_records_depend_on() -> None:
    plain = Config()
    assert plain.digest() == Config().digest()
    assert plain.digest() != Config(faces=Faces(min_score=0.6)).digest()
    assert plain.digest() == Config(pipeline=Pipeline(workers=7)).digest()


def test_attributes_of_faces_need_a_mesh() -> None:
    smile = SourceConfig(url="a.mp4", attributes=("SMILE",))
    config = Config(streams={"a": smile})
    assert config.for_source(smile).faces.attributes == ("SMILE",)
    with pytest.raises(ConfigError, match=r"set faces\.mesh = true"):
        Config(faces=Faces(mesh=False), streams={"a": smile})
    with pytest.raises(ConfigError, match=r"set faces\.mesh = true"):
        Config(faces=Faces(mesh=False, attributes=("ALL",)))


def test_a_stream_overrides_the_sections() -> None:
    config = Config(match=Match(collection="staff"), text=Text(enabled=False))
    same = config.for_source(SourceConfig(url="a.mp4"))
    assert same == config
    other = config.for_source(
        SourceConfig(url="a.mp4", faces=False, text=True, collection="guests")
    )
    assert (other.faces.enabled, other.text.enabled) == (False, True)
    assert other.match.collection == "guests"


def test_still_images_are_analysed_thoroughly_and_else_as_configured() -> None:
    config = Config(faces=Faces(size=320), text=Text(min_score=0.7))
    thorough = config.with_thorough_detection()
    assert (thorough.faces.detection, thorough.text.detection) == ("thorough", "thorough")
    assert thorough.faces.mirrored
    assert (thorough.faces.size, thorough.text.min_score) == (320, 0.7)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"region": (0.5, 0.0, 0.6, 1.0)}, "extends beyond the image"),
        ({"region": (0.0, 0.2, 1.0, 0.9)}, "extends beyond the image"),
        ({"region": (0.0, 0.0, 0.0, 1.0)}, "width and height must be greater than 0"),
        ({"start": 5, "end": 5}, "end: 5 must be greater than start, 5"),
    ],
)
def test_settings_that_select_nothing(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        SourceConfig(url="a.mp4", **settings)


@pytest.mark.parametrize(
    "url", ["rtsp://door/1", "HTTP://door/a.mjpg", "/dev/video0", "test://moving?fps=5&frames=0"]
)
def test_what_never_ends_cannot_be_repeated(url: str) -> None:
    with pytest.raises(ConfigError, match="repeat: what url names never ends"):
        SourceConfig(url=url, policy="live", repeat=True)


@pytest.mark.parametrize("url", ["a.mp4", "/dev/shm/a.mp4", "//[a.mp4", "test://moving?frames=5"])
def test_a_video_can_be_repeated_as_a_camera(url: str) -> None:
    assert SourceConfig(url=url, policy="live", repeat=True).repeat
    with pytest.raises(ConfigError, match='plays as a camera: policy = "live"'):
        SourceConfig(url=url, repeat=True)


def test_metrics_have_a_port_of_their_own_or_none() -> None:
    with pytest.raises(ConfigError, match="metrics_port: is the API's port"):
        Serve(port=8600, metrics_port=8600)


def test_not_every_web_page_may_use_a_server_without_keys() -> None:
    with pytest.raises(ConfigError, match="set keys, or name the pages' origins"):
        Serve(cors_origins=("http://localhost", "*"))
    assert Serve(cors_origins=("*",), keys="keys.toml").cors_origins == ("*",)


def test_a_region_may_reach_the_edge_in_spite_of_rounding() -> None:
    for left in (0.1, 0.3, 0.7):
        region = (left, 0.0, 1 - left, 1.0)
        assert SourceConfig(url="a.mp4", region=region).region == region


@pytest.mark.parametrize(
    ("speed", "policy", "pace"),
    [("max", None, 0.0), ("max", "every", 0.0), ("max", "live", 1.0), ("8x", "live", 8.0)],
)
def test_the_pace_of_a_video(speed: str, policy: Any, pace: float) -> None:
    assert SourceConfig(url="a.mp4", speed=speed, policy=policy).pace == pace


class TestStore:
    def test_a_password_is_not_shown(self) -> None:
        config = Config(store=Store(url="postgresql://ann:s3cret@db/faces"))
        assert "s3cret" not in repr(config)
