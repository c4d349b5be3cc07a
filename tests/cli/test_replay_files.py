"""Replays of files: what counts as recorded, and what is left after a start that fails."""

from pathlib import Path

import cv2
import pytest
from msgspec.structs import replace
from tests.support import appearances, films
from tests.support.frames import frame
from tests.support.records import EILEEN, face

from onlooker.cli import replay as module
from onlooker.cli.replay import other_records, own_records, print_summary, replay_videos
from onlooker.config.schema import Config, Faces, Runtime, SourceConfig, Text
from onlooker.escape import PEOPLE
from onlooker.media.errors import MediaError
from onlooker.media.video_file import VideoFile
from onlooker.models.card import WeightsError
from onlooker.record.frame_record import build
from onlooker.record.log.writer import Writer
from onlooker.record.sinks import json_lines
from onlooker.record.summary import Summary
from onlooker.rekognition.shapes import StreamRecord
from onlooker.stream.errors import RunError
from onlooker.stream.feeds import Feed, feeds
from onlooker.stream.outputs import Outputs
from onlooker.types import TextLine

DOOR = SourceConfig(url="door.mp4")


def record(index: int, stream: str, epoch: str, analysis: str) -> StreamRecord:
    return build(frame(stream, index, epoch=epoch), Config(), analysis)


def test_records_of_other_videos_and_settings_are_not_counted(tmp_path: Path) -> None:
    path = tmp_path / "r.db"
    with Writer(path) as log:
        for stream, epoch, analysis in (
            ("door", "a", "plain"),
            ("door", "a", "named"),
            ("door", "b", "named"),
            ("yard", "a", "named"),
        ):
            for index in range(3):
                log.append([record(index, stream, epoch, analysis)])
    feed = Feed(stream="door", source=DOOR, digest="a", analysis="named")
    assert [found.RecordId for found in own_records(path, [feed])] == [
        record(index, "door", "a", "named").RecordId for index in range(3)
    ]


def test_the_same_frames_with_other_settings_are_others(tmp_path: Path) -> None:
    path = tmp_path / "r.db"
    feed = Feed(stream="door", source=DOOR, digest="a", analysis="named", start=1)
    with Writer(path) as log:
        log.append([record(0, "door", "a", "named"), record(0, "yard", "a", "plain")])
        assert other_records(path, [feed]) == 0
        log.append([record(0, "door", "a", "plain"), record(0, "door", "b", "named")])
    assert other_records(path, [feed]) == 2


def test_text_is_printed_as_it_was_read(capsys: pytest.CaptureFixture[str]) -> None:
    read = "[exit] PAGE [/b] :fire:"
    quad = ((0.0, 0.0), (40.0, 0.0), (40.0, 10.0), (0.0, 10.0))
    line = TextLine(text=read, score=0.99, quad=quad, words=())
    summary = Summary()
    summary.add(build(replace(frame("door", 0), lines=(line,)), Config(), "d"))
    print_summary(summary)
    assert read in capsys.readouterr().out


def test_a_person_whom_nobody_matches_has_no_best(capsys: pytest.CaptureFixture[str]) -> None:
    summary = Summary()
    visit = appearances.event(1, "end", 1.0, 9.6)
    summary.add(appearances.record(0, replace(visit, person="unknown-000001")))
    print_summary(summary)
    output = capsys.readouterr().out
    assert "unknown-000001" in output
    assert "9.6 s" in output
    assert " 0.0 " not in output


def test_people_are_shown_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    summary = Summary()
    for name in ("李雷", "Möller"):
        known = replace(EILEEN.face, external_image_id=PEOPLE.encode(name))
        found = face(replace(EILEEN, face=known))
        summary.add(build(replace(frame("door", 0), faces=(found,)), Config(), "d"))
    print_summary(summary)
    output = capsys.readouterr().out
    assert "李雷" in output
    assert "Möller" in output
    assert ":f6:" not in output


NO_MODELS = Config(faces=Faces(enabled=False), text=Text(enabled=False))


def test_a_finished_replay_may_be_repeated_with_its_copy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video, copy = films.write(tmp_path / "video.ts"), tmp_path / "seen.mp4"
    outputs = Outputs(records=tmp_path / "r.jsonl")
    replay_videos([video], NO_MODELS, outputs, copy, one_process=True)
    before = copy.read_bytes(), (tmp_path / "r.jsonl").read_bytes()
    assert "was there already" not in capsys.readouterr().err
    replay_videos([video], NO_MODELS, outputs, copy, one_process=True)
    assert "seen.mp4: was there already; delete it to have it drawn" in capsys.readouterr().err
    assert (copy.read_bytes(), (tmp_path / "r.jsonl").read_bytes()) == before
    copy.unlink()
    replay_videos([video], NO_MODELS, outputs, copy, one_process=True)
    assert copy.read_bytes() == before[0]


@pytest.mark.parametrize(
    ("name", "codec", "counted"),
    [("v.mp4", "libx264", True), ("v.ts", "libx264", False), ("v.m1v", "mpeg1video", False)],
)
def test_a_video_of_unknown_length_is_replayed_and_resumed(
    tmp_path: Path, name: str, codec: str, counted: bool
) -> None:
    """An estimate of the number of frames does not say whether all are recorded."""
    video = films.write(tmp_path / name, codec, rate=25)
    outputs = Outputs(records=tmp_path / "r.jsonl")
    for _ in range(2):
        replay_videos([video], NO_MODELS, outputs, None, one_process=True)
        assert len(list(json_lines.read(tmp_path / "r.jsonl"))) == 12
    [feed] = feeds([video], NO_MODELS, outputs)
    assert feed.start == 12
    assert feed.finished == counted


def test_a_folder_is_drawn_too(tmp_path: Path) -> None:
    album = tmp_path / "album"
    album.mkdir()
    for number in range(3):
        cv2.imwrite(str(album / f"{number}.png"), films.numbered(number))
    copy = tmp_path / "seen.mp4"
    outputs = Outputs(records=tmp_path / "r.jsonl")
    replay_videos([album], NO_MODELS, outputs, copy, one_process=True)
    with VideoFile(copy) as seen:
        found = [(frame.time, films.number_of(p)) for frame, p in seen.frames("door") if p]
    assert found == [(0, 0), (1, 1), (2, 2)]


@pytest.mark.parametrize("one_process", [True, False])
def test_a_replay_that_cannot_begin_leaves_nothing(
    tmp_path: Path, one_process: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    video = films.write(tmp_path / "video.mp4")
    outputs = Outputs(records=tmp_path / "r.jsonl")
    elsewhere = replace(NO_MODELS, runtime=Runtime(provider="cuda"), text=Text())
    with pytest.raises(WeightsError, match="has no cuda provider"):
        replay_videos([video], elsewhere, outputs, None, one_process)
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(video.read_bytes()[:100])
    with pytest.raises(MediaError, match=r"stream broken: .*broken\.mp4: not a video"):
        replay_videos([video, broken], NO_MODELS, outputs, None, one_process)

    def fail(*_: object, **__: object) -> None:
        assert (tmp_path / "r.db").exists()
        raise RunError("no room")

    monkeypatch.setattr(module, "inline_feeds" if one_process else "replay_feeds", fail)
    with pytest.raises(RunError, match="no room"):
        replay_videos([video], NO_MODELS, outputs, None, one_process)
    assert {path.name for path in tmp_path.iterdir()} == {"video.mp4", "broken.mp4"}
