"""Time stamps of a video's frames: in the order in which they are shown, and never back."""

import heapq
from collections import deque
from statistics import median_low

MAX_REORDERED = 16
"""Maximum frames that H.264 and HEVC reorder."""
B_FRAME = 3
"""`VideoFrame.pict_type` of frames that are shown before one that was decoded earlier."""

MAX_DISORDER = 4
"""A time stamp that is no more than this many frames back, but not of a key frame, is taken for a
small error. Otherwise a new recording begins, as where two files were joined."""
MAX_START_SECONDS = 30 * 86400.0
"""A recording that begins later states the date. Its time is counted from its beginning."""
MAX_GAP_SECONDS = 3600.0
"""In a transport or program stream, whose clock may jump: a longer gap is no pause. Other
containers state what they mean, and may have gaps of any length."""
RECENT_FRAMES = 9
"""Frames from which the duration of one is estimated."""


class StampOrder:
    """Time stamps for containers that give frames those of the packets, in the order of decoding.

    AVI and some recorders have no others. If a frame is shown before one that was decoded earlier,
    but has a later time stamp than a packet that is still to be shown, all time stamps of this
    video are sorted.
    """

    def __init__(self) -> None:
        self._waiting: list[int] = []
        self._last: int | None = None
        self._reordered = False
        self._sorting = False

    def sent(self, pts: int | None) -> None:
        """Note the time stamp of a packet that the decoder gets."""
        if pts is None or self._reordered:
            return
        self._reordered = self._last is not None and pts < self._last and not self._sorting
        self._last = pts
        heapq.heappush(self._waiting, pts)
        if len(self._waiting) > MAX_REORDERED + 1:
            heapq.heappop(self._waiting)  # of a packet without a frame

    def refused(self, pts: int | None) -> None:
        """Note that the decoder makes no frame of a packet."""
        if pts in self._waiting:
            self._waiting.remove(pts)
            heapq.heapify(self._waiting)

    def of(self, pts: int | None, kind: int) -> int | None:
        """Return the time stamp of the next frame shown; `kind` is its `pict_type`."""
        if self._reordered or pts is None or not self._waiting:
            return pts
        if kind == B_FRAME and pts > self._waiting[0]:
            self._sorting = True
        if self._sorting:
            return heapq.heappop(self._waiting)
        while self._waiting and self._waiting[0] <= pts:
            heapq.heappop(self._waiting)
        return pts


class Timeline:
    """A map from a container's time stamps to ones that increase from frame to frame.

    start: of a first frame without a time stamp. step: duration of a frame. max_start: the latest
    beginning that is kept; others, and those before 0, become 0. max_gap: None means any. All are
    in units of the time stamps.
    """

    def __init__(self, start: int, step: int, max_start: int, max_gap: int | None) -> None:
        self._start = start
        self._steps = deque([max(1, step)], RECENT_FRAMES)
        self._max_start = max_start
        self._max_gap = max_gap
        self._offset = 0
        self._last: int | None = None
        self._duration = 0

    def __call__(self, pts: int | None, key: bool, duration: int = 0) -> int:
        """Return the time stamp of the next frame, whose own is `pts`.

        key: it is a key frame. duration: how long it is shown; 0 means unknown. It counts only if
        the next frame has no time stamp.
        """
        last, step = self._last, self._duration or median_low(self._steps)
        self._duration = duration
        if last is None:
            first = self._start if pts is None else pts
            self._offset = 0 if 0 <= first <= self._max_start else -first
            self._last = first + self._offset
            return self._last
        if pts is None:
            self._last = last + step
            return self._last
        step = median_low(self._steps)
        now = pts + self._offset
        back = last - now
        if back > (0 if key else MAX_DISORDER * step) or (self._max_gap and -back > self._max_gap):
            self._offset += last + step - now
            now = last + step
        elif back >= 0:
            now = last + max(1, step // 4)
        else:
            self._steps.append(-back)
        self._last = now
        return now
