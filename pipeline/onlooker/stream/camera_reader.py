"""A thread that reads a camera, reconnects without end, and never makes the camera wait.

If its process has no time for the frames, the newest ones win. The others are
passed on without their pixels, so that they are counted.
"""

import logging
import random
import threading
import time
from collections import deque
from dataclasses import dataclass, replace

import msgspec

from onlooker.media.camera import Camera, CameraFrame
from onlooker.media.errors import MediaError
from onlooker.stream import messages

MIN_RECONNECT_SECONDS = 1.0
"""Wait before the first attempt to reconnect; each further one waits twice as long."""
MAX_RECONNECT_SECONDS = 32.0
"""Longest wait before an attempt to reconnect."""
STEADY_SECONDS = 2.0
"""Time that a connection must last for the next wait to be the shortest again."""
LOST_SECONDS = 0.1
"""Time beyond the absence after which a visit is over."""
MAX_WAITING_IMAGES = 4
"""Frames with pixels that wait to be taken."""
MAX_WAITING = 10_000
"""Readings that wait to be taken, almost all of them without pixels."""

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Reading:
    """A frame of the camera, or the cause by which a connection ended; neither at the end."""

    shot: CameraFrame | None = None
    dropped: messages.Drop | None = None
    """Why the frame is not to be analysed; its pixels may be missing then."""
    cause: str = ""
    """The error by which a connection ended. With a frame: there is no image since then."""


class CameraReader:
    """The thread, which `start` starts, and the frames that it has read.

    absence: seconds after the last frame at which a frame without an image says that there was
    none, once, so that visits end; None means that this is not needed.
    """

    def __init__(self, camera: Camera, absence: float | None = None) -> None:
        self.camera = camera
        self._absence = absence
        self._last: CameraFrame | None = None
        """The last frame, until it is said that none has come since."""
        self._stop = threading.Event()
        self._changed = threading.Condition()
        self._waiting: list[Reading] = []
        self._images: deque[Reading] = deque()
        """Those of `_waiting` with pixels, the oldest first."""
        self._ended = False
        self._thread = threading.Thread(target=self._read, name="camera", daemon=True)

    @property
    def started(self) -> bool:
        return self._thread.ident is not None

    @property
    def died(self) -> bool:
        """Whether the thread has gone though the camera has not ended."""
        return self.started and not self._thread.is_alive() and not self._ended

    def start(self, index: int) -> None:
        """Start to read; the first frame gets `index`."""
        self.camera.index = index
        self._thread.start()

    def take(self, seconds: float) -> list[Reading]:
        """Return all readings since the last call; wait up to `seconds` for the first."""
        with self._changed:
            if not self._waiting:
                self._changed.wait(seconds)
            taken, self._waiting = self._waiting, []
            self._images.clear()
            self._changed.notify()
        return taken

    def close(self, seconds: float) -> None:
        """Stop the thread; wait up to `seconds` for it."""
        self._stop.set()
        with self._changed:
            self._changed.notify()
        if self.started:
            self._thread.join(seconds)

    def _put(self, reading: Reading) -> None:
        with self._changed:
            while len(self._waiting) >= MAX_WAITING and not self._stop.is_set():
                self._changed.wait(1.0)
            self._waiting.append(reading)
            if reading.shot is not None and reading.shot.planes is not None:
                self._images.append(reading)
            if len(self._images) > MAX_WAITING_IMAGES:
                oldest = self._images.popleft()
                assert oldest.shot is not None
                oldest.shot = replace(oldest.shot, planes=None)
                oldest.dropped = oldest.dropped or "superseded"
            self._changed.notify()

    def _read(self) -> None:
        wait = MIN_RECONNECT_SECONDS
        while not self._stop.is_set():
            connected = time.monotonic()
            cause = self._connect()
            if self._stop.is_set():
                return
            if not cause:
                self._ended = True
                self._put(Reading())
                return
            self._put(Reading(cause=cause))
            if time.monotonic() - connected > STEADY_SECONDS:
                wait = MIN_RECONNECT_SECONDS
            self._wait(wait * random.uniform(0.8, 1.0), cause)
            wait = min(2 * wait, MAX_RECONNECT_SECONDS)

    def _wait(self, seconds: float, cause: str) -> None:
        """Wait before the next attempt; put the frame that says that none has come if it is due."""
        end = time.monotonic() + seconds
        last = self._last
        if last is not None and self._absence is not None:
            due = last.captured + self._absence + LOST_SECONDS
            if due <= end and not self._stop.wait(max(0.0, due - time.monotonic())):
                self._last = None
                self._put(Reading(self._lost(last, cause), cause=cause))
        self._stop.wait(max(0.0, end - time.monotonic()))

    def _lost(self, last: CameraFrame, cause: str) -> CameraFrame:
        """Return a frame without an image, as long after the last one as it is now."""
        seconds = time.monotonic() - last.captured
        numerator, denominator = last.frame.time_base
        frame = msgspec.structs.replace(
            last.frame,
            index=self.camera.index,
            pts=last.frame.pts + round(seconds * denominator / numerator),
            error=f"{messages.LOST}no image for {seconds:.0f} s: {cause}",
        )
        self.camera.index += 1
        return CameraFrame(frame, None, stale=False)

    def _connect(self) -> str:
        """Read until the connection ends; return why it did, nothing if the camera has an end."""
        try:
            for shot in self.camera.connect():
                self._last = shot
                self._put(Reading(shot, "stale" if shot.stale else None))
                if self._stop.is_set():
                    break
        except MediaError as error:
            return str(error)
        except Exception as error:
            # A fault of ours or of a library's. The next connection may do without it.
            logger.exception("camera not read stream=%s", self.camera.stream)
            return f"{type(error).__name__}: {error}"
        return ""
