"""Checks of what a camera sends: its time stamps, and whether its image is frozen or black."""

import math
import zlib
from collections import deque

import numpy as np

from onlooker.media.errors import MediaError
from onlooker.media.picture import Planes

JUMP_SECONDS = 5.0
"""Difference between a camera's time stamps and our clock above which they are aligned again."""
DRIFT = 0.001
"""Maximum drift of a camera's clock, in seconds per second."""
BLACK = 24
"""Brightness (0-255) that 99 % of the pixels of a black image do not exceed."""
RECENT_IMAGES = 256
"""Number of images among which a repetition is detected."""
THUMBNAIL = (160, 90)
"""Width and height in pixels, at least, at which images are compared."""


class Clock:
    """A map from a camera's time stamps to our clock, which detects frames that come late.

    max_delay: seconds that a frame may come late; None means any.
    """

    def __init__(self, max_delay: float | None) -> None:
        self._max_delay = math.inf if max_delay is None else max_delay
        self._offset: float | None = None
        self._last = 0.0
        self._base = 0.0
        """Delay of a frame that was not held up."""
        self._then = 0.0

    def __call__(self, stamp: float | None, now: float) -> tuple[float, bool]:
        """Return the frame's time since the connection began, and whether the frame is stale.

        The time never decreases. stamp: the camera's, in seconds, or None. now: seconds since the
        connection began.
        """
        at = now if stamp is None or self._offset is None else stamp + self._offset
        late = now - at - self._base
        stale = stamp is not None and self._max_delay < late < self._max_delay + 60
        if not stale and (self._offset is None or abs(late) > JUMP_SECONDS or at < self._last):
            # The first frame, or the camera's clock has jumped.
            at = max(now, self._last)
            self._base = 0.0
            if stamp is not None:
                self._offset = at - stamp
        else:
            self._base = min(self._base + DRIFT * (now - self._then), now - at)
        self._then = now
        self._last = max(at, self._last)
        return self._last, stale


class FreezeDetector:
    """A detector of cameras that repeat one image, or a few, instead of live ones.

    timeout: seconds of repetition after which it raises MediaError.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._recent: deque[int] = deque(maxlen=RECENT_IMAGES)
        self._period = 0
        self._since = 0.0
        self.black = False
        """Whether the last image was black. A black image may stay: a camera sees nothing at
        night."""

    def __call__(self, planes: Planes, now: float, name: str) -> None:
        """Check the image of the time `now`, in seconds. Raises MediaError about `name`."""
        y, (columns, rows) = planes.y, THUMBNAIL
        thumbnail = np.ascontiguousarray(
            y[:: max(1, y.shape[0] // rows), :: max(1, y.shape[1] // columns)]
        )
        self.black = bool(np.percentile(thumbnail, 99) <= BLACK)
        checksum = zlib.crc32(thumbnail.tobytes())
        # A real camera's noise makes no two images equal.
        period = self._recent.index(checksum) + 1 if checksum in self._recent else 0
        if not period or period != self._period:
            self._period, self._since = period, now
        elif now - self._since > self._timeout and not self.black:
            what = "the image is frozen" if period == 1 else f"the same {period} images repeat"
            raise MediaError(f"{name}: {what} for {self._timeout:g} s")
        self._recent.appendleft(checksum)
