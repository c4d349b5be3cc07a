"""The frames that a job analyses: those that Amazon analyses, and their time stamps.

Faces are detected in the frame that is on screen every 500 ms, people are followed through five
frames a second, and text is read once a second: in every round(rate)-th frame. A time stamp is the
frame's presentation time in the container, rounded down to milliseconds.
"""

from collections.abc import Callable
from fractions import Fraction
from math import floor

from onlooker.jobs.job import JobKind
from onlooker.types import Frame

PER_SECOND = {"FaceDetection": 2, "FaceSearch": 5, "PersonTracking": 5}
"""Frames a second; TextDetection has a step instead."""


def choose(kind: JobKind, rate: Fraction) -> Callable[[int], bool]:
    """Return what says whether frame 0, 1, 2 ... of a video of `rate` frames a second is analysed.

    It depends on nothing but the number, which may be asked for in any order.
    """
    if kind == "TextDetection":
        step = max(1, round(rate))
        return lambda index: index % step == 0
    per_second = PER_SECOND[kind]

    def is_due(index: int) -> bool:
        # Whether index = floor(k * rate / per_second) for some k.
        k = -(-index * per_second // rate)
        return floor(k * rate / per_second) == index

    return is_due


def milliseconds(frame: Frame) -> int:
    """Return a frame's time stamp."""
    return floor(frame.pts * Fraction(*frame.time_base) * 1000)
