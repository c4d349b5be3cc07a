"""The pipeline in one process."""

from pathlib import Path

import pytest
from tests.support import steps

from onlooker.config.schema import Config
from onlooker.media.picture import Picture
from onlooker.record.log.reader import Log, read_log
from onlooker.record.log.writer import Writer
from onlooker.record.sinks import json_lines
from onlooker.rekognition.shapes import encode
from onlooker.stream.feeds import feeds
from onlooker.stream.inline import inline
from onlooker.stream.messages import Counts, Status
from onlooker.stream.outputs import Outputs
from onlooker.stream.stage import Setup, Stage, StageError, Step, each
from onlooker.types import Frame


def test_every_frame_has_one_record(small: Path, tmp_path: Path) -> None:
    shown: list[Status] = []
    outputs = Outputs(records=tmp_path / "r.jsonl")
    status = inline([small], Config(), outputs, shown.append, steps.LIGHT)
    settled = [one.settled for one in shown]
    assert settled == sorted(set(settled))
    assert settled[-1] == steps.FRAMES
    assert status.streams[0].counts == Counts(received=steps.FRAMES, done=steps.FRAMES)
    read = list(json_lines.read(tmp_path / "r.jsonl"))
    assert [record.FrameInformation.Index for record in read] == list(range(steps.FRAMES))
    assert len({record.TextDetections[0].DetectedText for record in read}) > steps.FRAMES / 2


def test_a_commit_waits_until_it_is_due(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But the first frame's and the last one's do not."""
    monkeypatch.setattr("onlooker.stream.inline.COMMIT_SECONDS", 99)
    shown: list[Status] = []
    inline([small], Config(), Outputs(log=tmp_path / "r.db"), shown.append, steps.LIGHT)
    assert [one.settled for one in shown] == [1, steps.FRAMES]


def test_a_run_resumes_where_the_records_end(small: Path, tmp_path: Path) -> None:
    records = tmp_path / "r.jsonl"
    outputs = Outputs(records=records)
    inline([small], Config(), outputs, steps.quiet, steps.LIGHT)
    whole = records.read_bytes()
    some = Outputs(log=tmp_path / "some.db")
    with Writer(some.log_path) as log:
        log.append(list(json_lines.read(records))[:7])
    [feed] = feeds([small], Config(), some)
    assert feed.start == 7
    assert feed.counts == Counts(received=7, done=7)
    status = inline([small], Config(), some, steps.quiet, steps.LIGHT)
    assert b"".join(encode(record) + b"\n" for record in read_log(some.log_path)) == whole
    assert status.done == steps.FRAMES


def test_a_failed_frame_is_given_to_ordered_stages_only(small: Path, tmp_path: Path) -> None:
    given: list[tuple[str, int]] = []

    def noting(name: str, broken: bool) -> Stage:
        def make(setup: Setup) -> Step:
            def step(frame: Frame, picture: Picture) -> Frame:
                given.append((name, frame.index))
                if broken and frame.index == steps.BAD:
                    raise ArithmeticError
                return frame

            return each(step)

        return Stage(name, make, ordered=name == "record")

    stages = (noting("detect", True), noting("recognise", False), noting("record", False))
    status = inline([small], Config(), Outputs(log=tmp_path / "r.db"), steps.quiet, stages)
    assert ("recognise", steps.BAD) not in given
    assert ("record", steps.BAD) in given
    assert status.streams[0].counts == Counts(
        received=steps.FRAMES, done=steps.FRAMES - 1, failed={"error": 1}
    )


def test_a_step_that_cannot_work_ends_the_run(small: Path, tmp_path: Path) -> None:
    outputs, stages = (
        Outputs(log=tmp_path / "r.db"),
        (Stage("detect", steps.unusable), steps.RECORD),
    )
    with pytest.raises(StageError, match="staff"):
        inline([small], Config(), outputs, steps.quiet, stages)


def stopping(frames: int) -> Stage:
    """A stage that ends the run over this frame."""

    def make(setup: Setup) -> Step:
        def step(frame: Frame, picture: Picture) -> Frame:
            if frame.index == frames:
                raise StageError("stop")
            return frame

        return each(step)

    return Stage("stop", make)


def test_a_resumed_run_continues_with_the_state_in_the_log(small: Path, tmp_path: Path) -> None:
    whole, cut = Outputs(records=tmp_path / "whole.jsonl"), Outputs(records=tmp_path / "cut.jsonl")
    inline([small], Config(), whole, steps.quiet, steps.COUNTED)
    with pytest.raises(StageError):
        inline([small], Config(), cut, steps.quiet, (stopping(7), *steps.COUNTED))
    with Log(cut.log_path) as log:
        assert len(log) == 7
    inline([small], Config(), cut, steps.quiet, steps.COUNTED)
    assert cut.records is not None
    assert whole.records is not None
    assert steps.wrong_counts(list(json_lines.read(cut.records))) == 0
    assert cut.records.read_bytes() == whole.records.read_bytes()


def test_another_video_of_the_same_name_starts_with_an_empty_state(
    small: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    longer = steps.video(other / small.name, steps.FRAMES + 4)
    outputs = Outputs(log=tmp_path / "r.db")
    for video in (small, longer):
        inline([video], Config(), outputs, steps.quiet, steps.COUNTED)
    records = list(read_log(outputs.log_path))
    assert len(records) == 2 * steps.FRAMES + 4
    assert steps.wrong_counts(records[steps.FRAMES :]) == 0


def test_each_stream_has_a_state_of_its_own(small: Path, tmp_path: Path) -> None:
    outputs = Outputs(log=tmp_path / "r.db")
    inline([small, small], Config(), outputs, steps.quiet, steps.COUNTED)
    records = list(read_log(outputs.log_path))
    for stream in ("small", "small-2"):
        own = [record for record in records if record.stream == stream]
        assert len(own) == steps.FRAMES
        assert steps.wrong_counts(own) == 0
