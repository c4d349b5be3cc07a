"""A video that was analysed, shown once more at its own speed, each frame with its own boxes.

Only the frames that have a record are shown, and no more of them than a page can draw.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Protocol

import msgspec
from msgspec.structs import replace

from onlooker.config.schema import SourceConfig
from onlooker.console.console_context import ConsoleContext
from onlooker.console.live_feed import packed
from onlooker.console.overlay import Overlay, faces_of, lines_of
from onlooker.console.video_feed import VideoHeader
from onlooker.errors import OnlookerError
from onlooker.media.open import frames
from onlooker.media.picture import Planes
from onlooker.record.log.reader import Log
from onlooker.rekognition.shapes import StreamRecord
from onlooker.stream.live_pictures import encoded
from onlooker.types import Frame

FRAME_SECONDS = 0.075
"""Minimum time between two frames that are shown."""
READ_SECONDS = 5.0
"""Length of the video whose records are read at once."""
MAX_AT_ONCE = 4
"""Videos that are shown at a time, whoever watches them."""

_free = threading.BoundedSemaphore(MAX_AT_ONCE)
logger = logging.getLogger(__name__)


class Viewer(Protocol):
    """A page that shows the video."""

    def put(self, stream: str, message: bytes) -> None:
        """Take the newest frame of a stream."""

    def put_end(self, stream: str, message: bytes) -> None:
        """Take the message that the video has ended."""


class ReplayedVideo:
    """A thread that reads the video of a stream for one page, until its end or until `stop`.

    The page's methods are called in the thread of the event loop, which makes this.
    """

    def __init__(
        self, context: ConsoleContext, stream: str, source: SourceConfig, viewer: Viewer
    ) -> None:
        self._context = context
        self._stream = stream
        self._source = replace(source, speed="1x", motion_threshold=None)
        self._viewer = viewer
        self._loop = asyncio.get_running_loop()
        self._stop = threading.Event()
        threading.Thread(target=self._run, name="replayed video", daemon=True).start()

    def stop(self) -> None:
        """Have the thread end with the next frame."""
        self._stop.set()

    def _run(self) -> None:
        if not _free.acquire(blocking=False):
            self._end(f"{MAX_AT_ONCE} videos are played at once already; stop one of them first")
            return
        try:
            with self._context.log() as log:
                if log is not None:
                    self._play(log)
            self._end("")
        except OnlookerError as error:
            self._end(str(error))
        except Exception as error:
            logger.exception("video not replayed stream=%s", self._stream)
            self._end(f"{type(error).__name__}: {error}")
        finally:
            _free.release()

    def _play(self, log: Log) -> None:
        """Show the frames that have a record. Raises MediaError and LogError."""
        records: Mapping[int, StreamRecord] = {}
        read = shown = float("-inf")
        for frame, planes in frames(self._stream, self._source, "replayed", 0):
            if self._stop.is_set():
                return
            if frame.time >= read:
                read = frame.time + READ_SECONDS
                found = log.query(self._stream, start=frame.time - 1e-3, end=read)
                records = {each.FrameInformation.Pts: each for each in found}
            record = records.get(frame.pts)
            if record is None or planes is None or frame.time - shown < FRAME_SECONDS:
                continue
            shown = frame.time
            message = packed(self._header(frame, planes, record), encoded(planes))
            self._call(self._viewer.put, self._stream, message)

    def _header(self, frame: Frame, planes: Planes, record: StreamRecord) -> bytes:
        left, top = frame.origin
        overlay = Overlay(
            stream=self._stream,
            index=record.FrameInformation.Index,
            time=frame.time,
            region=(
                left / frame.width,
                top / frame.height,
                planes.width / frame.width,
                planes.height / frame.height,
            ),
            faces=faces_of(record, self._context.name_of),
            lines=lines_of(record),
            error=record.FrameInformation.Error,
        )
        return msgspec.json.encode(overlay)

    def _end(self, cause: str) -> None:
        if not self._stop.is_set():
            header = VideoHeader(self._stream, "end", error=cause)
            message = packed(msgspec.json.encode(header), b"")
            self._call(self._viewer.put_end, self._stream, message)

    def _call(self, method: Callable[..., object], *values: object) -> None:
        with suppress(RuntimeError):  # the console ends
            self._loop.call_soon_threadsafe(method, *values)
