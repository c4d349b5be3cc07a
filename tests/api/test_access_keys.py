"""The file of keys."""

from pathlib import Path

import pytest

from onlooker.api.access_keys import load
from onlooker.api.services import actions
from onlooker.config.section import ConfigError

ONE = """
[[key]]
id = "KIOSK"
secret = "sixteen letters!"
user = "kiosk"
operations = ["Detect*", "SearchFacesByImage"]
collections = ["staff", "guests-*"]
buckets = ["photos"]
"""


def written(tmp_path: Path, text: str, mode: int = 0o600) -> Path:
    path = tmp_path / "keys.toml"
    path.write_text(text)
    path.chmod(mode)
    return path


def test_a_key_is_allowed_what_its_patterns_match(tmp_path: Path) -> None:
    key = load(written(tmp_path, ONE), actions())["KIOSK"]
    assert key.allows("rekognition:DetectFaces")
    assert key.allows("rekognition:SearchFacesByImage")
    assert not key.allows("rekognition:SearchFaces")
    assert key.reaches("collection", "staff")
    assert key.reaches("collection", "guests-2026")
    assert not key.reaches("collection", "Staff")
    assert key.reaches("bucket", "photos")
    assert not key.reaches("bucket", "private")


def test_an_operation_with_its_service_is_allowed_in_this_service_only(tmp_path: Path) -> None:
    named = ONE.replace('"Detect*", ', '"rekognition:List*", ')
    key = load(written(tmp_path, named), actions())["KIOSK"]
    assert key.allows("rekognition:ListFaces")
    assert not key.allows("kinesis:ListShards")
    assert key.allows("kinesis:SearchFacesByImage")  # its pattern names no service
    assert not key.allows("rekognition:DetectFaces")


def test_a_key_without_patterns_may_do_everything(tmp_path: Path) -> None:
    text = "\n".join(ONE.splitlines()[:5])
    key = load(written(tmp_path, text), actions())["KIOSK"]
    assert key.allows("rekognition:DeleteCollection")
    assert key.reaches("collection", "anything")
    assert key.reaches("bucket", "anything")


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("", "key"),
        ("[[key]]\nid = 'AKID'\n", "secret"),
        (ONE.replace("sixteen letters!", "short"), "secret"),
        (ONE.replace("Detect*", "Detekt*"), "fits no operation"),
        (ONE.replace("Detect*", "kinesis:Detect*"), "fits no operation"),
        (ONE + ONE, "same id"),
        (ONE + "colections = []", "colections"),
        ("[[key", "cannot be read"),
    ],
)
def test_an_unusable_file_is_an_error_with_its_cause(tmp_path: Path, text: str, cause: str) -> None:
    with pytest.raises(ConfigError, match=cause):
        load(written(tmp_path, text), actions())


def test_secrets_that_others_can_read_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="chmod 600"):
        load(written(tmp_path, ONE, 0o644), actions())
    with pytest.raises(ConfigError, match="No such file"):
        load(tmp_path / "none.toml", actions())
