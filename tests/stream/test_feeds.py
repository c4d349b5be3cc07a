"""The feeds of a run: where each begins, and which are live."""

from pathlib import Path

import pytest
from tests.support import steps
from tests.support.cameras import descriptors

from onlooker.config.schema import Config, Faces, SourceConfig, Text
from onlooker.config.tracking import Tracks
from onlooker.record.log.writer import Writer
from onlooker.stream.feeds import feeds, feeds_of
from onlooker.stream.inline import inline
from onlooker.stream.outputs import Outputs


def test_frames_whose_records_retention_removed_are_not_analysed_again(
    small: Path, tmp_path: Path
) -> None:
    outputs = Outputs(log=tmp_path / "r.db")
    inline([small], Config(), outputs, steps.quiet, steps.LIGHT)
    with Writer(outputs.log_path) as log, log._transaction():
        log._database.execute("DELETE FROM records WHERE position <= 5")
    [feed] = feeds([small], Config(), outputs)
    assert feed.start == steps.FRAMES


def test_no_two_videos_are_one_stream(small: Path, tmp_path: Path) -> None:
    """Whichever others are replayed with a video, and in which order."""
    names = ["李雷.mp4", "王芳.mp4", "my video.mp4", "my_video.mp4", "a.mp4", "x/a.mp4", "a-2.mp4"]
    (tmp_path / "x").mkdir()
    for name in names:
        (tmp_path / name).symlink_to(small)
    outputs = Outputs(log=tmp_path / "r.db")
    found = feeds([tmp_path / name for name in names], Config(), outputs)
    assert [feed.stream for feed in found] == [
        "_u674e.96f7_",
        "_u738b.82b3_",
        "my_u_video",
        "my_video",
        "a",
        "a-2",
        "a-2-2",
    ]
    assert [feed.source.url for feed in found] == [str(tmp_path / name) for name in names]
    [alone] = feeds([tmp_path / "王芳.mp4"], Config(), outputs)
    assert alone.stream == found[1].stream


def test_lost_lines_are_written_again(small: Path, tmp_path: Path) -> None:
    records = tmp_path / "r.jsonl"
    outputs = Outputs(records=records)
    inline([small], Config(), outputs, steps.quiet, steps.LIGHT)
    whole = records.read_bytes()
    for left in (b"".join(whole.splitlines(keepends=True)[:7]) + b'{"Input', b""):
        records.write_bytes(left)
        [feed] = feeds([small], Config(), outputs)
        assert feed.start == steps.FRAMES
        assert records.read_bytes() == whole


def test_another_configuration_starts_from_the_first_frame(small: Path, tmp_path: Path) -> None:
    outputs = Outputs(records=tmp_path / "r.jsonl")
    inline([small], Config(), outputs, steps.quiet, steps.LIGHT)
    [feed] = feeds([small], Config(faces=Faces(size=320)), outputs)
    assert feed.start == 0


def test_a_feed_knows_its_video(small: Path, tmp_path: Path) -> None:
    [feed] = feeds([small], Config(), Outputs(log=tmp_path / "r.db"))
    assert (feed.stream, feed.source.url, feed.start, feed.frames) == (
        "small",
        str(small),
        0,
        steps.FRAMES,
    )
    assert (feed.width, feed.height) == (steps.WIDTH, steps.HEIGHT)


@pytest.mark.parametrize(
    ("config", "asked", "detect_every"),
    [
        (Config(), None, None),
        (Config(), 3, 3),
        (Config(tracks=Tracks(enabled=False)), None, 1),
        (Config(tracks=Tracks(enabled=False)), 3, 1),
        (Config(faces=Faces(detection="thorough")), None, 1),
        (Config(faces=Faces(detection="thorough", enabled=False)), None, None),
        (Config(text=Text(detection="thorough")), None, 1),
        (Config(text=Text(detection="thorough", enabled=False)), None, None),
        (Config(text=Text(detection="thorough")), 3, 3),
    ],
)
def test_what_is_searched_thoroughly_or_not_followed_is_searched_in_every_frame(
    config: Config, asked: int | None, detect_every: int | None, small: Path, tmp_path: Path
) -> None:
    sources = {"a": SourceConfig(url=str(small), detect_every=asked)}
    [feed] = feeds_of(sources, config, Outputs(log=tmp_path / "r.db"))
    assert feed.source.detect_every == detect_every


@pytest.mark.parametrize("asked", [None, 3])
def test_a_camera_without_tracks_has_no_frame_that_is_followed(
    asked: int | None, tmp_path: Path
) -> None:
    """Its faces would be in none of them, as if nobody were there."""
    config = Config(tracks=Tracks(enabled=False))
    sources = {"a": SourceConfig(url="test://moving", detect_every=asked)}
    [feed] = feeds_of(sources, config, Outputs(log=tmp_path / "r.db"))
    assert feed.live
    assert feed.source.detect_every == 1


def test_to_search_every_frame_is_another_analysis(small: Path, tmp_path: Path) -> None:
    outputs = Outputs(log=tmp_path / "r.db")
    usual, every = (
        feeds_of({"a": SourceConfig(url=str(small), detect_every=asked)}, Config(), outputs)[0]
        for asked in (None, 1)
    )
    assert usual.digest != every.digest
    assert usual.frames == every.frames == steps.FRAMES


def test_an_endless_source_is_live_unless_its_policy_says_otherwise(
    small: Path, tmp_path: Path
) -> None:
    sources = {
        "endless": SourceConfig(url="test://moving"),
        "every": SourceConfig(url="test://moving", policy="every"),
        "short": SourceConfig(url="test://moving?frames=9"),
        "video": SourceConfig(url=str(small)),
        "played": SourceConfig(url=str(small), policy="live"),
    }
    found = feeds_of(sources, Config(), Outputs(log=tmp_path / "r.db"))
    assert [feed.stream for feed in found if feed.live] == ["endless", "played"]


def test_videos_of_one_name_become_streams_of_several(small: Path, tmp_path: Path) -> None:
    names = [feed.stream for feed in feeds([small] * 3, Config(), Outputs(log=tmp_path / "r.db"))]
    assert names == ["small", "small-2", "small-3"]


def test_a_replay_of_many_videos_keeps_none_of_them_open(small: Path, tmp_path: Path) -> None:
    resource = pytest.importorskip("resource", reason="the limit on open files is Unix's")
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors() + 40, before[1]))
    try:
        found = feeds([small] * 60, Config(), Outputs(log=tmp_path / "r.db"))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert len({feed.digest for feed in found}) == 1
    assert {feed.frames for feed in found} == {steps.FRAMES}
