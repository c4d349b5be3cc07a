"""Sampling: which frames of a video are analysed, which part of them, and at what pace."""

import time
from collections.abc import Iterable, Iterator
from typing import TypeAlias

from msgspec.structs import replace

from onlooker.config.schema import SourceConfig
from onlooker.media.motion import Gate
from onlooker.media.picture import Planes
from onlooker.types import Frame

Pair: TypeAlias = tuple[Frame, Planes | None]

STAMP_ROUNDING_SECONDS = 0.0005
"""Time stamps may be rounded to milliseconds."""


def selected(frames: Iterable[Pair], source: SourceConfig, start: int) -> Iterator[Pair]:
    """Yield those of all frames of a video that `source` selects, renumbered from 0.

    start: number of the first frame to yield; the frames do not depend on it.
    """
    sampler, gate = Sampler(source), Gate(source.motion_threshold)
    index, fragment, fragment_pts, first = -1, 0, 0, None
    for frame, planes in frames:
        first = frame.time if first is None else first
        elapsed = frame.time - first
        if elapsed < source.start:
            continue
        if source.end is not None and elapsed >= source.end:
            return
        if not sampler(elapsed):
            continue
        index += 1
        if index == 0 or frame.fragment_pts > fragment_pts:
            fragment, fragment_pts = index, frame.fragment_pts if index else frame.pts
        if planes is not None:
            planes, origin = cropped(planes, source)
            frame = replace(frame, origin=origin)
            same = gate.same(planes)
            if same is None:
                gate.refer(index)
            else:
                frame, planes = replace(frame, same=same), None
            carried = same is None and index % (source.detect_every or 1) > 0
            frame = replace(frame, carried=carried)
        if index >= start:
            yield replace(frame, index=index, fragment=fragment, fragment_pts=fragment_pts), planes


def paced(frames: Iterable[Pair], pace: float) -> Iterator[Pair]:
    """Yield each frame at its time, at `pace` seconds of the video per second."""
    began, first = time.monotonic(), None
    for frame, planes in frames:
        first = frame.time if first is None else first
        ahead = (frame.time - first) / pace - (time.monotonic() - began)
        if ahead > 0:
            time.sleep(ahead)
        yield frame, planes


class Sampler:
    """The selection of frames by the settings `nth` and `fps`; it is asked about each in turn."""

    def __init__(self, source: SourceConfig) -> None:
        self._nth, self._fps = source.nth, source.fps
        self._number = -1
        self._due = 0.0

    def __call__(self, elapsed: float) -> bool:
        """Return whether the next frame is selected. elapsed: seconds since the first frame."""
        self._number += 1
        if self._number % self._nth:
            return False
        if self._fps is None:
            return True
        if elapsed < self._due - STAMP_ROUNDING_SECONDS:
            return False
        behind = elapsed - self._due >= 1 / self._fps  # at the beginning, or after a gap
        self._due = (elapsed if behind else self._due) + 1 / self._fps
        return True


def cropped(planes: Planes, source: SourceConfig) -> tuple[Planes, tuple[int, int]]:
    """Return the region of `source`, and its x, y in the image: even numbers, for the chroma."""
    if source.region is None:
        return planes, (0, 0)
    left, top, width, height = source.region
    x1, y1 = int(left * planes.width) & ~1, int(top * planes.height) & ~1
    x2 = min(planes.width, max(x1 + 2, round((left + width) * planes.width)))
    y2 = min(planes.height, max(y1 + 2, round((top + height) * planes.height)))
    chroma = slice(y1 // 2, (y2 + 1) // 2), slice(x1 // 2, (x2 + 1) // 2)
    return Planes(planes.y[y1:y2, x1:x2], planes.u[chroma], planes.v[chroma]), (x1, y1)
