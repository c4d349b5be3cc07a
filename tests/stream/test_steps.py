"""The steps of the stages."""

import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import pytest
from msgspec.structs import replace
from tests.support import steps as light
from tests.support.frames import frame

from onlooker.cli.demo_video import photographs
from onlooker.config.schema import Config, FaceAttribute, Faces, SourceConfig, Text
from onlooker.media.picture import Picture, Still
from onlooker.models.batches import CardFailed, CardFull
from onlooker.record.log.reader import LogFull, read_log
from onlooker.record.log.writer import Writer
from onlooker.record.sinks import json_lines
from onlooker.stream import messages, remote_result, steps
from onlooker.stream.feeds import Feed
from onlooker.stream.inline import inline
from onlooker.stream.outputs import Outputs
from onlooker.stream.stage import (
    NoPicture,
    ProcessFailed,
    Setup,
    StageError,
    StopRequested,
    Work,
)
from onlooker.types import TextSearch
from onlooker.vision.analyser import Analyser, Detection, Wanted


def test_streams_that_ask_for_attributes_get_them(tmp_path: Path) -> None:
    pictures = tmp_path / "portraits"
    pictures.mkdir()
    cv2.imwrite(str(pictures / "1.png"), photographs().astronaut)

    def looked_at(name: str, *attributes: FaceAttribute) -> dict[str, Any]:
        config = Config(faces=Faces(attributes=attributes), text=Text(enabled=False))
        outputs = Outputs(log=tmp_path / f"{name}.db")
        inline([pictures], config, outputs, light.quiet)
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


@pytest.mark.parametrize(
    ("width", "asked", "done"),
    [(1280, "usual", "usual"), (1280, "finer", "finer"), (640, "finer", "usual")],
)
def test_how_text_is_searched(
    width: int,
    asked: TextSearch,
    done: TextSearch,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[Wanted] = []

    def detect(_: Analyser, pictures: list[Picture], wanted: list[Wanted]) -> list[Detection]:
        seen.extend(wanted)
        return [Detection() for _ in pictures]

    monkeypatch.setattr(Analyser, "detect", detect)
    monkeypatch.setattr(Analyser, "prepare_detection", lambda *_: None)
    feed = Feed(stream="door", source=SourceConfig(url="a.mp4"))
    with ExitStack() as closing:
        step = steps.detect(Setup(Config(), closing, lambda _: feed))
        picture = Still(np.zeros((360, width, 3), np.uint8))
        lent = frame("door", 0, text=asked)
        [frame_found] = step([Work(lent, picture)])
    assert frame_found.text == done
    # The same from a worker of another machine is believed.
    answer = messages.pack_frame(frame_found)
    result = messages.Result(1, None, 1.0, 1.0, 1.0)
    assert remote_result.checked(result, messages.pack_frame(lent), answer, 0) == answer
    [wanted] = seen
    assert (wanted.text, wanted.finer) == (True, done == "finer")


@pytest.mark.parametrize(
    ("error", "raised"), [(CardFull("full"), StageError), (CardFailed("gone"), ProcessFailed)]
)
@pytest.mark.parametrize("stage", ["detect", "recognise"])
def test_an_error_of_the_card_is_no_frames_fault(
    stage: str, error: Exception, raised: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(Analyser, stage, fail)
    feed = Feed(stream="a", source=SourceConfig(url="a"), digest="e")
    config = Config(faces=Faces(enabled=False), text=Text(enabled=False))
    with ExitStack() as closing:
        step = getattr(steps, stage)(Setup(config, closing, lambda _: feed))
        with pytest.raises(raised, match=str(error)):
            step([Work(frame("a", 0), NoPicture())])


def setup(tmp_path: Path, closing: ExitStack, patient: bool) -> Setup:
    outputs = Outputs(log=tmp_path / "r.db", patient=patient)
    feed = Feed(stream="a", source=SourceConfig(url="a"), digest="e", outputs=outputs)
    return Setup(Config(), closing, lambda _: feed, threading.Event())


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    def append(*_: object) -> int:
        raise LogFull("no room; make room, records wait for it")

    monkeypatch.setattr(Writer, "append", append)


@pytest.mark.usefixtures("full_disk")
def test_a_recorder_that_waits_for_room_obeys_the_stop_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "FULL_DISK_RETRY_SECONDS", 600.0)
    with ExitStack() as closing:
        made = setup(tmp_path, closing, patient=True)
        steps.record(made)([Work(frame("a", 0), NoPicture())])
        stopped: list[str] = []

        def commit() -> None:
            with pytest.raises(StopRequested):
                made.commit()
            stopped.append("stopped")

        waiting = threading.Thread(target=commit)
        waiting.start()
        waiting.join(0.1)
        assert waiting.is_alive()  # it waits
        made.stop.set()
        waiting.join(60)
        assert stopped == ["stopped"]


@pytest.mark.usefixtures("full_disk")
def test_a_recorder_that_must_not_wait_ends_the_run(tmp_path: Path) -> None:
    with ExitStack() as closing:
        made = setup(tmp_path, closing, patient=False)
        steps.record(made)([Work(frame("a", 0), NoPicture())])
        with pytest.raises(StageError, match="make room"):
            made.commit()


def test_feeds_that_share_a_log_each_have_their_json_lines(tmp_path: Path) -> None:
    log, files = tmp_path / "r.db", [None, tmp_path / "1.jsonl", tmp_path / "2.jsonl"]
    source = SourceConfig(url="a")

    def feed(number: int) -> Feed:
        outputs = Outputs(log=log, records=files[number])
        return Feed(stream="a", source=source, digest="e", number=number, outputs=outputs)

    with ExitStack() as closing:
        made = Setup(Config(), closing, feed)
        record = steps.record(made)
        for index in range(6):
            one = replace(frame("a", index), feed=index % 3)
            record([Work(one, NoPicture())])
            made.commit()
    whole = list(read_log(log))
    assert [record.FrameInformation.Index for record in whole] == list(range(6))
    assert list(json_lines.read(tmp_path / "1.jsonl")) == whole
    assert list(json_lines.read(tmp_path / "2.jsonl")) == whole
