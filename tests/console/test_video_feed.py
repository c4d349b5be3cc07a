"""The videos that pages play, and what each page is told of them."""

import asyncio
from typing import Any, cast

import pytest

from onlooker.config.schema import SourceConfig
from onlooker.console import page_socket
from onlooker.console.page_socket import Page
from onlooker.console.smooth_video import SmoothVideo
from onlooker.console.video_feed import VideoFeed


class NotingPage:
    """A page that notes what it is sent."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []

    def put_video(self, stream: str, message: bytes) -> bool:
        self.messages.append(message)
        return True

    def put_end(self, stream: str, message: bytes) -> None:
        self.messages.append(message)


def test_a_video_that_fails_at_once_tells_its_page(monkeypatch: pytest.MonkeyPatch) -> None:
    # The thread has ended before its starter goes on.
    monkeypatch.setattr(SmoothVideo, "start", SmoothVideo._run)

    async def sent() -> list[bytes]:
        page, feed = NotingPage(), VideoFeed()
        feed.watch(page, {"door": SourceConfig(url="rtsp://127.0.0.1:1/none")})
        await asyncio.sleep(0)
        return page.messages

    messages = asyncio.run(sent())
    assert len(messages) == 1
    assert b'"video":"end"' in messages[0]
    assert b"127.0.0.1:1" in messages[0]


def test_a_video_that_ends_after_the_console_has_ended_is_no_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    videos: list[SmoothVideo] = []
    monkeypatch.setattr(SmoothVideo, "start", lambda video: videos.append(video))
    page = NotingPage()

    async def watch() -> None:
        VideoFeed().watch(page, {"door": SourceConfig(url="rtsp://127.0.0.1:1/none")})

    asyncio.run(watch())
    [video] = videos
    video._run()
    assert page.messages == []


def test_a_page_that_takes_nothing_keeps_one_end_of_each_video(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(page_socket, "MAX_PARTS", 4)
    sent: list[bytes] = []

    class Socket:
        async def send_bytes(self, message: bytes) -> None:
            sent.append(message)

    async def fill() -> None:
        page = Page(cast(Any, Socket()), cast(Any, None), cast(Any, None), cast(Any, None))
        for _ in range(3):  # a camera that fails again and again
            for number in range(5):
                page.put_video("door", b"door %d" % number)
            page.put_end("door", b"door over")
        page.put_video("yard", b"yard 0")
        page.put_end("yard", b"yard over")
        task = asyncio.create_task(page.send_frames())
        while b"yard over" not in sent:
            await asyncio.sleep(0)
        task.cancel()

    asyncio.run(fill())
    assert sent.count(b"door over") == 1
    assert len(sent) <= page_socket.MAX_PARTS + 1
