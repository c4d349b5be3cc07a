"""The videos that pages play, and what each page is told of them."""

import asyncio

import pytest

from onlooker.config.schema import SourceConfig
from onlooker.console.smooth_video import SmoothVideo
from onlooker.console.video_feed import VideoFeed


class NotingPage:
    """A page that notes what it is sent."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []

    def put_video(self, message: bytes) -> bool:
        self.messages.append(message)
        return True


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
