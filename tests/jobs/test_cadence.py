"""The cadence and the time stamps are those of Amazon's recorded answers."""

from fractions import Fraction
from math import floor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.support.frames import frame

from onlooker.jobs.cadence import PER_SECOND, choose, milliseconds
from onlooker.jobs.job import JobKind

NTSC = Fraction(30000, 1001)


def chosen(kind: JobKind, rate: Fraction, count: int) -> list[int]:
    is_due = choose(kind, rate)
    return [index for index in range(count) if is_due(index)]


def stamps(kind: JobKind, count: int, first: int = 0) -> list[int]:
    """Return the time stamps at 29.97 frames a second; `first` is the first frame's pts."""
    frames = [
        replace(frame("s", index), pts=first + index, time_base=(1001, 30000))
        for index in chosen(kind, NTSC, count)
    ]
    return [milliseconds(each) for each in frames]


def test_faces_as_recorded() -> None:
    assert chosen("FaceDetection", NTSC, 60) == [0, 14, 29, 44, 59]
    assert stamps("FaceDetection", 50) == [0, 467, 967, 1468]


def test_text_as_recorded() -> None:
    assert stamps("TextDetection", 340, first=1)[:3] == [33, 1034, 2035]
    assert stamps("TextDetection", 340, first=1)[-1] == 11044


def test_people_as_recorded() -> None:
    assert chosen("FaceSearch", NTSC, 20) == [0, 5, 11, 17]
    assert stamps("PersonTracking", 20) == [0, 166, 367, 567]


@given(
    kind=st.sampled_from(list(PER_SECOND)),
    rate=st.fractions(Fraction(1, 10), 240, max_denominator=1001),
)
def test_it_is_the_frame_on_screen_every_period(kind: JobKind, rate: Fraction) -> None:
    period = rate / PER_SECOND[kind]
    expected = {floor(k * period) for k in range(300)}
    last = max(expected)
    assert chosen(kind, rate, last + 1) == sorted(expected)


@pytest.mark.parametrize(("rate", "step"), [(Fraction(1, 3), 1), (Fraction(25), 25), (NTSC, 30)])
def test_text_is_read_in_every_nth_frame(rate: Fraction, step: int) -> None:
    assert chosen("TextDetection", rate, 3 * step) == [0, step, 2 * step]
