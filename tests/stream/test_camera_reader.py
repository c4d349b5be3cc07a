"""The thread that reads a camera: the newest frames win, and the camera never waits."""

import time
from collections.abc import Iterator

import numpy as np
import pytest
from tests.support.frames import frame

from onlooker.config.schema import SourceConfig
from onlooker.media.camera import Camera, CameraFrame
from onlooker.media.errors import MediaError
from onlooker.media.picture import Planes
from onlooker.stream import camera_reader
from onlooker.stream.camera_reader import MAX_WAITING_IMAGES, CameraReader, Reading

FRAMES = 50


class Scripted(Camera):
    """A camera that sends frames as fast as they are taken from it, and then ends or fails."""

    def __init__(self, error: str = "") -> None:
        super().__init__("a", SourceConfig(url="test://moving"))
        self.error = error
        self.sent = 0

    def connect(self) -> Iterator[CameraFrame]:
        pixels = np.zeros((2, 2), np.uint8)
        planes = Planes(pixels, pixels[:1, :1], pixels[:1, :1])
        for self.sent in range(1, FRAMES + 1):
            yield CameraFrame(frame("a", self.sent - 1), planes, stale=self.sent == 1)
        if self.error:
            raise MediaError(self.error)


def wait_until_read(reader: CameraReader) -> None:
    end = time.monotonic() + 60
    while reader._thread.is_alive() and time.monotonic() < end:
        time.sleep(0.01)


def test_a_process_without_time_gets_the_newest_frames_and_the_others_are_counted() -> None:
    camera = Scripted()
    reader = CameraReader(camera)
    reader.start(0)
    wait_until_read(reader)  # nobody takes any: the camera is read to its end all the same
    assert camera.sent == FRAMES
    *readings, end = reader.take(0.0)
    assert end.shot is None
    assert end.cause == ""
    assert [each.shot.frame.index for each in readings if each.shot] == list(range(FRAMES))
    kept = [each for each in readings if each.shot and each.shot.planes is not None]
    assert [each.shot.frame.index for each in kept if each.shot] == list(
        range(FRAMES - MAX_WAITING_IMAGES, FRAMES)
    )
    assert all(each.dropped is None for each in kept)
    assert readings[0].dropped == "stale"
    assert {each.dropped for each in readings[1:-MAX_WAITING_IMAGES]} == {"superseded"}
    assert not reader.died


def test_a_process_with_time_gets_all_frames() -> None:
    reader = CameraReader(Scripted())
    reader.start(0)
    taken: list[Reading] = []
    while not taken or taken[-1].shot is not None:
        taken += reader.take(1.0)
    superseded = [each for each in taken if each.dropped == "superseded"]
    assert len(taken) == FRAMES + 1
    assert all(each.shot and each.shot.planes is None for each in superseded)


def test_it_says_why_a_connection_ended_and_stops_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(camera_reader, "MIN_RECONNECT_SECONDS", 600.0)
    reader = CameraReader(Scripted(error="the camera hung up"))
    reader.start(0)
    causes: list[str] = []
    while not causes:
        causes += [each.cause for each in reader.take(1.0) if each.cause]
    assert causes == ["the camera hung up"]
    reader.close(60.0)
    assert not reader._thread.is_alive(), "it does not sit out its wait"


def test_a_lost_connection_is_one_frame_without_an_image_as_late_as_it_is() -> None:
    reader = CameraReader(Scripted(error="the camera hung up"), absence=0.2)
    reader.camera.index = FRAMES
    began = time.monotonic()
    reader.start(FRAMES)
    taken: list[Reading] = []
    end = time.monotonic() + 60
    while time.monotonic() < end and not any(each.shot and each.cause for each in taken):
        taken += reader.take(0.1)
    took = time.monotonic() - began
    reader.close(5.0)
    [lost] = [each.shot for each in taken if each.shot is not None and each.cause]
    last = next(each.shot for each in reversed(taken) if each.shot and not each.cause)
    assert lost.planes is None
    assert lost.frame.error is not None
    assert lost.frame.error.startswith("lost: no image for 0 s: the camera hung up")
    assert lost.frame.index == FRAMES
    assert 0.2 < lost.frame.time - last.frame.time < took + 1 / 25
    assert lost.frame.epoch == last.frame.epoch


def test_without_tracks_nothing_is_said_of_a_lost_connection() -> None:
    reader = CameraReader(Scripted(error="the camera hung up"))
    reader.start(0)
    time.sleep(0.5)
    reader.close(5.0)
    assert not any(each.shot and each.cause for each in reader.take(0.0))
