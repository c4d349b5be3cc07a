"""The search for faces and text in a video: in which frames, and for text how finely.

What stands still or moves along needs no search: it is followed. So a frame is searched if
something new is to be seen in it, and otherwise only at intervals. Now and then the search for text
is finer, for small text, which is then followed as well.
"""

from collections.abc import Iterable, Iterator
from typing import cast

import cv2
import numpy as np
from msgspec.structs import replace

from onlooker.media.novelty import new_blocks
from onlooker.media.picture import Pixels, Planes
from onlooker.types import Frame, TextSearch

MAX_REST_SECONDS = 0.1
"""Time after which a frame is searched though nothing in it is new."""
FINER_SECONDS = 0.3
"""Minimum time between two finer searches."""
ROUNDING_SECONDS = 0.0005
"""Time stamps may be rounded to milliseconds."""
MIN_COMPARED_WIDTH = 320
"""Images are halved to a width of this to twice this number of pixels before they are compared."""
BLOCK_SIDE, MAX_MOVE = 8, 3
"""Pixels of such an image: the side of a block, and its way from one frame to the next at most."""
MAX_NOISE, MAX_DIFFERENCE = 6.0, 0.55
"""Brightness of 255, and share of a block's standard deviation, by which a block may differ that is
not new: what moves by parts of a pixel differs by less."""
MIN_NEW_BLOCKS = 3


class SearchSchedule:
    """The schedule of one stream; it is asked about each frame in turn.

    text: whether text is searched; without it no search is finer.
    """

    def __init__(self, text: bool = True) -> None:
        self._text = text
        self._before: Pixels | None = None
        self._searched = self._finer = -np.inf

    def __call__(self, time: float, planes: Planes) -> TextSearch:
        """Return how the frame of this time, in seconds, is to be searched."""
        new = self._new(planes)
        if self._text and _due(time, self._finer, FINER_SECONDS):
            self._finer = self._searched = time
            return "finer"
        if new or _due(time, self._searched, MAX_REST_SECONDS):
            self._searched = time
            return "usual"
        return "none"

    def _new(self, planes: Planes) -> bool:
        """Return whether there is something in the image that was not in the one before."""
        image, before = reduced(planes.y), self._before
        self._before = image
        if before is None or before.shape != image.shape:
            return True
        found = new_blocks(
            image, before, BLOCK_SIDE, MAX_MOVE, MAX_NOISE, MAX_DIFFERENCE, MIN_NEW_BLOCKS
        )
        return found >= MIN_NEW_BLOCKS


def _due(time: float, last: float, seconds: float) -> bool:
    """Return whether so many seconds have passed since `last`, or time has begun again."""
    return time - last >= seconds - ROUNDING_SECONDS or time < last


def reduced(plane: Pixels) -> Pixels:
    """Return the plane, halved until it is less than 2 * MIN_COMPARED_WIDTH wide, and smooth."""
    while plane.shape[1] >= 2 * MIN_COMPARED_WIDTH and plane.shape[0] > 1:
        half = plane.shape[1] // 2, plane.shape[0] // 2
        even = plane[: 2 * half[1], : 2 * half[0]]
        plane = cast(Pixels, cv2.resize(even, half, interpolation=cv2.INTER_AREA))
    return cast(Pixels, cv2.blur(plane, (3, 3)))


def scheduled(
    frames: Iterable[tuple[Frame, Planes | None]], start: int, text: bool = True
) -> Iterator[tuple[Frame, Planes | None]]:
    """Yield the frames of a video from number `start` on, each with how it is searched.

    frames: all of them, because each depends on those before it. text: see SearchSchedule.
    """
    schedule = SearchSchedule(text)
    for frame, planes in frames:
        if planes is not None:
            search = schedule(frame.time, planes)
            frame = replace(frame, text=search, carried=search == "none")
        if frame.index >= start:
            yield frame, planes
