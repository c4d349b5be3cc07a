"""Frames as they are sent between processes, and their times."""

import msgspec
import pytest
from tests.support.frames import frame

from onlooker.types import LANDMARKS, Frame


def test_times_are_exact_fractions_of_a_second() -> None:
    late = frame("door", 3, pts=30030, time_base=(1001, 30000), fragment=2, fragment_pts=30000)
    assert late.time == pytest.approx(1002.001, abs=1e-9)
    assert late.fragment_time == 1001.0
    # As a product of floats, this would be 0.30000000000000004.
    assert frame("door", 3, pts=3, time_base=(1, 10)).time == 0.3


def test_a_message_has_no_defaults() -> None:
    sent = msgspec.msgpack.encode(frame("door", 0))
    assert msgspec.msgpack.decode(sent, type=Frame) == frame("door", 0)
    assert not {"faces", "lines", "error", "same", "states"} & set(msgspec.msgpack.decode(sent))


def test_results_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        frame("door", 0).index = 1  # type: ignore[misc]


def test_landmark_types_are_amazons_thirty() -> None:
    assert len(LANDMARKS) == len(set(LANDMARKS)) == 30
