"""A source's process: its loops, and what it says when something is wrong."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from onlooker.config.schema import SourceConfig
from onlooker.media.camera import Camera, CameraFrame
from onlooker.stream import messages, source_process
from onlooker.stream.feeds import Feed
from onlooker.stream.hub_client import HubClient
from onlooker.stream.messages import Counts
from onlooker.stream.source import Source
from onlooker.stream.source_process import BLACK, Health, ReaderDied


class Silent:
    """A hub that says nothing."""

    def receive(self, wait: bool) -> None:
        """Nothing came."""


def follow(source: Source, stop: threading.Event) -> Iterator[list[messages.ToHub]]:
    hub = cast(HubClient, Silent())
    for sends in source_process._follow_camera(source.feed, source, hub, stop):
        yield [message for message, _ in sends]


class Behind:
    """A hub whose messages have not been read for a while."""

    def __init__(self) -> None:
        self.unread = [messages.Free(1, index, Counts(), True) for index in range(1000)]

    def receive(self, wait: bool) -> tuple[messages.FromHub, bytes] | None:
        return (self.unread.pop(), b"") if self.unread else None


@pytest.fixture
def source(tmp_path: Path) -> Source:
    """Of a synthetic camera of two frames, told to begin."""
    settings = SourceConfig(
        url="test://moving?fps=1&size=16x16&frames=2", policy="live", timeout=0.1
    )
    source = Source(Feed(stream="a", source=settings), f"{tmp_path}/source-0.1", 2, 1)
    source.receive(messages.Start(1, 0, (), Counts()))
    return source


def test_a_video_that_is_played_slowly_is_no_camera_that_hangs(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ended(status: int) -> None:
        raise AssertionError("its process ends")

    monkeypatch.setattr(os, "_exit", ended)
    monkeypatch.setattr(source_process, "HANG_SECONDS", 0.0)  # a camera would have 0.2 s
    stop = threading.Event()
    for _ in follow(source, stop):
        if source.ended:
            stop.set()
    assert source.next == 2


def test_a_reader_that_raises_anything_is_reported_and_connects_again(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, attempts = Camera.connect, []

    def connect(self: Camera) -> Iterator[CameraFrame]:
        attempts.append(self)
        if len(attempts) == 1:
            raise ZeroDivisionError("a fault of a library")
        return real(self)

    monkeypatch.setattr(Camera, "connect", connect)
    monkeypatch.setattr("onlooker.stream.camera_reader.MIN_RECONNECT_SECONDS", 0.01)
    stop = threading.Event()
    said: list[messages.ToHub] = []
    for sends in follow(source, stop):
        said += sends
        if source.next == 1:
            stop.set()
    [bad, good] = [message for message in said if isinstance(message, messages.Health)]
    assert bad.text == "ZeroDivisionError: a fault of a library"
    assert good.text == ""


def test_all_that_the_hub_has_said_is_read_before_the_next_frame(source: Source) -> None:
    """Otherwise a camera whose frames come fast would never again be up to date."""
    hub, stop = Behind(), threading.Event()
    follow_camera = source_process._follow_camera
    for sends in follow_camera(source.feed, source, cast(HubClient, hub), stop):
        if any(isinstance(message, messages.Offer) for message, _ in sends):
            stop.set()
    assert source.next == 1
    assert hub.unread == []


@pytest.mark.timeout(20)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_reader_that_has_ended_by_itself_ends_the_process(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    def connect(self: Camera) -> Iterator[CameraFrame]:
        raise GeneratorExit("no Exception: it ends the thread")

    monkeypatch.setattr(Camera, "connect", connect)
    with pytest.raises(ReaderDied):
        list(follow(source, threading.Event()))


def test_health_is_told_when_it_changes() -> None:
    health = Health("a", 7)
    assert health.bad("refused") == [(messages.Health("a", 7, "refused", 0), b"")]
    assert health.bad("refused") == []
    assert health.good(black=False) == [(messages.Health("a", 7, "", 0), b"")]
    assert health.good(black=True) == [(messages.Health("a", 7, BLACK, 0), b"")]
    assert health.good(black=False) == [(messages.Health("a", 7, "", 0), b"")]
    health.bad("refused")
    assert health.good(black=False) == [(messages.Health("a", 7, "", 1), b"")]


def test_a_full_memory_file_system_is_explained() -> None:
    error = OSError(28, "No space left on device")
    text = source_process._explained(error, Path("/dev/shm/onlooker-1-x"))
    assert text.startswith("/dev/shm: No space left on device; ")
    assert "--shm-size" in text
