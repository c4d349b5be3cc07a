"""The table, and the line in one process."""

from pathlib import Path
from typing import Any

import cv2
import msgspec
import pytest
from tests.support import steps

from onlooker.cli.demo_video import photographs
from onlooker.config.schema import Config, FaceAttribute, Faces, Pipeline, SourceConfig, Text
from onlooker.media.picture import Picture
from onlooker.record.log.reader import read_log
from onlooker.record.log.writer import Writer
from onlooker.record.sinks import json_lines
from onlooker.rekognition.shapes import encode
from onlooker.stream.feeds import feeds, feeds_of
from onlooker.stream.inline import inline
from onlooker.stream.messages import Counts, Status
from onlooker.stream.outputs import Outputs
from onlooker.stream.stage import Setup, Stage, StageError, Step, each
from onlooker.stream.stages import STAGES
from onlooker.types import Frame

FRAMES = 20


def quiet(status: Status) -> None:
    """A progress display that shows nothing."""


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return steps.video(tmp_path_factory.mktemp("video") / "small.mp4", FRAMES)


def test_the_table_ends_with_one_ordered_recorder() -> None:
    assert [stage.name for stage in STAGES] == ["detect", "recognise", "record"]
    assert [stage.ordered for stage in STAGES] == [False, False, True]
    assert STAGES[-1].processes(Config()) == 1
    assert STAGES[0].processes(Config(pipeline=Pipeline(workers=3))) == 3


def test_every_frame_has_one_record(video: Path, tmp_path: Path) -> None:
    shown: list[Status] = []
    outputs = Outputs(records=tmp_path / "r.jsonl")
    status = inline([video], Config(), outputs, shown.append, steps.LIGHT)
    assert [one.settled for one in shown] == list(range(1, FRAMES + 1))
    assert status.streams[0].counts == Counts(received=FRAMES, done=FRAMES)
    read = list(json_lines.read(tmp_path / "r.jsonl"))
    assert [record.FrameInformation.Index for record in read] == list(range(FRAMES))
    assert len({record.TextDetections[0].DetectedText for record in read}) > FRAMES / 2


def test_a_run_goes_on_where_the_records_end(video: Path, tmp_path: Path) -> None:
    records = tmp_path / "r.jsonl"
    outputs = Outputs(records=records)
    inline([video], Config(), outputs, quiet, steps.LIGHT)
    whole = records.read_bytes()
    some = Outputs(log=tmp_path / "some.db")
    with Writer(some.log_path) as log:
        log.append(list(json_lines.read(records))[:7])
    [feed] = feeds([video], Config(), some)
    assert feed.start == 7
    assert feed.counts == Counts(received=7, done=7)
    status = inline([video], Config(), some, quiet, steps.LIGHT)
    assert b"".join(encode(record) + b"\n" for record in read_log(some.log_path)) == whole
    assert status.done == FRAMES


def test_what_the_log_has_let_go_is_not_looked_at_again(video: Path, tmp_path: Path) -> None:
    outputs = Outputs(log=tmp_path / "r.db")
    inline([video], Config(), outputs, quiet, steps.LIGHT)
    with Writer(outputs.log_path) as log, log._transaction():
        log._database.execute("DELETE FROM records WHERE position <= 5")
    [feed] = feeds([video], Config(), outputs)
    assert feed.start == FRAMES


def test_lines_that_were_lost_are_written_anew(video: Path, tmp_path: Path) -> None:
    records = tmp_path / "r.jsonl"
    outputs = Outputs(records=records)
    inline([video], Config(), outputs, quiet, steps.LIGHT)
    whole = records.read_bytes()
    for left in (b"".join(whole.splitlines(keepends=True)[:7]) + b'{"Input', b""):
        records.write_bytes(left)
        [feed] = feeds([video], Config(), outputs)
        assert feed.start == FRAMES
        assert records.read_bytes() == whole


def test_another_configuration_begins_anew(video: Path, tmp_path: Path) -> None:
    outputs = Outputs(records=tmp_path / "r.jsonl")
    inline([video], Config(), outputs, quiet, steps.LIGHT)
    [feed] = feeds([video], Config(faces=Faces(size=320)), outputs)
    assert feed.start == 0


def test_a_feed_knows_its_video(video: Path, tmp_path: Path) -> None:
    [feed] = feeds([video], Config(), Outputs(log=tmp_path / "r.db"))
    assert (feed.stream, feed.source.url, feed.start, feed.frames) == (
        "small",
        str(video),
        0,
        FRAMES,
    )
    assert (feed.width, feed.height) == (steps.WIDTH, steps.HEIGHT)


def test_what_has_no_end_is_live_unless_it_is_told_otherwise(video: Path, tmp_path: Path) -> None:
    sources = {
        "endless": SourceConfig(url="test://moving"),
        "every": SourceConfig(url="test://moving", policy="every"),
        "short": SourceConfig(url="test://moving?frames=9"),
        "video": SourceConfig(url=str(video)),
        "played": SourceConfig(url=str(video), policy="live"),
    }
    found = feeds_of(sources, Config(), Outputs(log=tmp_path / "r.db"))
    assert [feed.stream for feed in found if feed.live] == ["endless", "played"]


def test_videos_of_one_name_become_streams_of_several(video: Path, tmp_path: Path) -> None:
    names = [feed.stream for feed in feeds([video] * 3, Config(), Outputs(log=tmp_path / "r.db"))]
    assert names == ["small", "small-2", "small-3"]


def test_a_failed_frame_is_given_to_ordered_stages_only(video: Path, tmp_path: Path) -> None:
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
    status = inline([video], Config(), Outputs(log=tmp_path / "r.db"), quiet, stages)
    assert ("recognise", steps.BAD) not in given
    assert ("record", steps.BAD) in given
    assert status.streams[0].counts == Counts(received=FRAMES, done=FRAMES - 1, failed={"error": 1})


def test_what_cannot_work_ends_the_run(video: Path, tmp_path: Path) -> None:
    outputs, stages = (
        Outputs(log=tmp_path / "r.db"),
        (Stage("detect", steps.unusable), steps.RECORD),
    )
    with pytest.raises(StageError, match="staff"):
        inline([video], Config(), outputs, quiet, stages)


def test_attributes_are_told_of_streams_that_ask_for_them(tmp_path: Path) -> None:
    pictures = tmp_path / "portraits"
    pictures.mkdir()
    cv2.imwrite(str(pictures / "1.png"), photographs().astronaut)

    def looked_at(name: str, *attributes: FaceAttribute) -> dict[str, Any]:
        config = Config(faces=Faces(attributes=attributes), text=Text(enabled=False))
        outputs = Outputs(log=tmp_path / f"{name}.db")
        inline([pictures], config, outputs, quiet)
        [record] = read_log(outputs.log_path)
        [face] = record.FaceSearchResponse
        return dict(msgspec.json.decode(msgspec.json.encode(face.DetectedFace)))

    usual = {"BoundingBox", "Confidence", "Landmarks", "Pose", "Quality"}
    plain = looked_at("plain")
    assert set(plain) == usual
    some = looked_at("some", "SMILE", "GENDER")
    assert set(some) == usual | {"Smile", "Gender"}
    assert some["Smile"]["Value"] is True
    assert some["Gender"]["Value"] == "Female"
    assert {name: some[name] for name in usual} == plain
    assert len(looked_at("all", "ALL")["Landmarks"]) == 30
