"""Records in groups, and those that repeat the result of an earlier frame."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from onlooker.config.schema import Config
from onlooker.record import recorder as recorders
from onlooker.record.log import retention
from onlooker.record.log import writer as writers
from onlooker.record.log.reader import LogFull
from onlooker.record.log.topics import TopicLog
from onlooker.record.log.writer import Writer
from onlooker.record.recorder import Recorder
from onlooker.rekognition.shapes import StreamRecord
from onlooker.types import Frame, TextLine

CORNERS = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
SETTINGS = Config(), "d"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "records.db"


@pytest.fixture
def log(path: Path) -> Iterator[Writer]:
    with Writer(path) as opened:
        yield opened


def frame(
    index: int, text: str = "", same: int | None = None, error: str | None = None, epoch: str = "e"
) -> Frame:
    lines = (TextLine(text=text, score=1.0, quad=CORNERS, words=()),) if text else ()
    return Frame(
        stream="a",
        epoch=epoch,
        index=index,
        pts=index,
        time_base=(1, 25),
        fragment=0,
        fragment_pts=0,
        started=0.0,
        width=2,
        height=2,
        same=same,
        lines=lines,
        error=error,
    )


def added(log: Writer, *frames: Frame) -> list[StreamRecord]:
    """The records that a recorder which knows nothing yet adds to the log."""
    position, recorder = log.position, Recorder(log)
    for one in frames:
        recorder.add(one, *SETTINGS)
    assert recorder.commit() == len(frames)
    return list(log.read(position))


def texts(records: list[StreamRecord]) -> list[str]:
    return ["".join(found.DetectedText for found in record.TextDetections) for record in records]


def errors(records: list[StreamRecord]) -> list[str | None]:
    return [record.FrameInformation.Error for record in records]


def test_unchanged_frames_repeat_their_reference_and_not_a_damaged_frame(log: Writer) -> None:
    torn = frame(1, error="torn")
    found = added(log, frame(0, "EXIT"), torn, frame(2, same=0), torn_at(3), frame(4, same=0))
    assert texts(found) == ["EXIT", "", "EXIT", "", "EXIT"]
    assert errors(found) == [None, "torn", None, "torn", None]
    assert [record.FrameInformation.Same for record in found] == [False, False, True, False, True]


def torn_at(index: int) -> Frame:
    return frame(index, error="torn")


def test_a_reference_is_found_by_another_recorder(path: Path) -> None:
    with Writer(path) as log:
        added(log, frame(0, "EXIT"), frame(1, "DOOR"), torn_at(2))
    with Writer(path) as log:
        assert texts(added(log, frame(3, same=1))) == ["DOOR"]
        assert texts(added(log, torn_at(4), frame(5, same=1))) == ["", "DOOR"]


def test_a_reference_that_failed_is_repeated_as_failed(log: Writer) -> None:
    found = added(log, torn_at(0), frame(1, same=0))
    assert errors(found) == ["torn", "torn"]


def test_a_reference_that_retention_has_removed(log: Writer) -> None:
    added(log, frame(0, "EXIT"), frame(1, same=0))
    assert retention.remove_oldest(log._database) == 1
    assert texts(added(log, frame(2, same=0))) == ["EXIT"]
    # Whatever comes in between, its result is not that of frame 0.
    added(log, frame(3, "DOOR"))
    assert errors(added(log, frame(4, same=0))) != [None]
    other = frame(5, same=0, epoch="f")
    [error] = errors(added(log, other))
    assert error == "it repeats frame 0, whose record is no longer in the log"


def test_references_of_many_streams_are_not_kept(
    log: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorders, "MAX_REFERENCES", 3)
    recorder = Recorder(log)
    for number in range(10):
        for one in (frame(0, f"{number}"), frame(1, same=0), frame(2, same=0)):
            recorder.add(replace(one, stream=f"s{number}"), *SETTINGS)
        recorder.commit()
        assert len(recorder._references) <= 3
    assert texts(list(log.read())) == [str(number) for number in range(10) for _ in range(3)]


def test_what_could_not_be_committed_is_committed_later(
    log: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: Writer) -> None:
        raise LogFull("no room")

    recorder = Recorder(log)
    recorder.add(frame(0, "EXIT"), *SETTINGS)
    with monkeypatch.context() as patch:
        patch.setattr(writers, "SWEEP_SECONDS", -1)
        patch.setattr(Writer, "sweep", full)
        with pytest.raises(LogFull):
            recorder.commit()
    recorder.add(frame(1, same=0), *SETTINGS)
    assert recorder.commit() == 2
    assert recorder.commit() == 0
    assert texts(list(log.read())) == ["EXIT", "EXIT"]


def test_a_record_is_in_the_topic_that_its_stream_has_at_the_time(log: Writer, path: Path) -> None:
    recorder = Recorder(log)
    recorder.add(frame(0), *SETTINGS)
    recorder.add(frame(1), *SETTINGS, "results")
    assert recorder.commit() == 2
    recorder.add(frame(2), *SETTINGS)
    assert recorder.commit() == 1
    with TopicLog(path) as topics:
        found = {
            name: [each.position for each in topics.records_of(topics.number_of(name), 0, 9)]
            for name in topics.topics()
        }
    assert found == {"a": [1, 3], "results": [2]}
