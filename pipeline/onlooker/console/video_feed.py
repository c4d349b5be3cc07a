"""Videos of cameras, each read once for all pages that show it."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Protocol

import msgspec

from onlooker.config.schema import SourceConfig
from onlooker.console.live_feed import packed
from onlooker.console.smooth_video import Beginning, Fragment, SmoothVideo


class Watcher(Protocol):
    """A page that plays videos."""

    def put_video(self, stream: str, message: bytes) -> bool:
        """Take a part; return whether there was room for it."""

    def put_end(self, stream: str, message: bytes) -> None:
        """Take the end of a video; there is always room for it."""


class VideoHeader(msgspec.Struct, frozen=True, omit_defaults=True):
    """The header of a part of a video."""

    stream: str
    video: str
    """The kind of the part: "beginning", "fragment" or "end"."""
    codec: str = ""
    position: float = 0.0
    """Seconds of the video."""
    time: float = 0.0
    """Epoch seconds."""
    error: str = ""
    """Why the video has ended."""


class _Camera:
    def __init__(self, video: SmoothVideo) -> None:
        self.video = video
        self.beginning: Beginning | None = None
        self.watchers: dict[Watcher, bool] = {}
        """Whether each has a key frame, from which it can go on."""


class VideoFeed:
    """The videos that pages play. All methods are for the thread of the event loop."""

    def __init__(self) -> None:
        self._cameras: dict[str, _Camera] = {}

    def watch(self, watcher: Watcher, wanted: dict[str, SourceConfig]) -> None:
        """Have `watcher` receive the videos of these streams, and no others."""
        for stream, camera in list(self._cameras.items()):
            if stream not in wanted and camera.watchers.pop(watcher, None) is not None:
                self._close_unwatched(stream, camera)
        for stream, source in wanted.items():
            if stream not in self._cameras:
                self._cameras[stream] = self._opened(stream, source)
            self._cameras[stream].watchers.setdefault(watcher, False)

    def close(self) -> None:
        """End all videos."""
        for camera in self._cameras.values():
            camera.video.stop()
        self._cameras.clear()

    def _opened(self, stream: str, source: SourceConfig) -> _Camera:
        loop = asyncio.get_running_loop()

        def call(method: Callable[..., None], given: Beginning | Fragment | str) -> None:
            with suppress(RuntimeError):  # the console ends
                loop.call_soon_threadsafe(method, stream, camera, given)

        part, end = partial(call, self._part), partial(call, self._end)

        camera = _Camera(SmoothVideo(source, part, end))
        camera.video.start()
        return camera

    def _part(self, stream: str, camera: _Camera, part: Beginning | Fragment) -> None:
        if isinstance(part, Beginning):
            camera.beginning = part
            return
        header = VideoHeader(stream, "fragment", position=part.position, time=part.time)
        message = packed(msgspec.json.encode(header), part.data)
        for watcher, playing in list(camera.watchers.items()):
            if not playing and part.key and camera.beginning is not None:
                begin = VideoHeader(stream, "beginning", codec=camera.beginning.codec)
                begun = packed(msgspec.json.encode(begin), camera.beginning.data)
                playing = watcher.put_video(stream, begun)
            camera.watchers[watcher] = playing and watcher.put_video(stream, message)

    def _end(self, stream: str, camera: _Camera, cause: str) -> None:
        if self._cameras.get(stream) is camera:
            del self._cameras[stream]
        message = packed(msgspec.json.encode(VideoHeader(stream, "end", error=cause)), b"")
        for watcher in camera.watchers:
            watcher.put_end(stream, message)

    def _close_unwatched(self, stream: str, camera: _Camera) -> None:
        if not camera.watchers:
            camera.video.stop()
            del self._cameras[stream]
