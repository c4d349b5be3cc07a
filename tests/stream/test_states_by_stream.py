"""States by stream."""

import msgspec
import pytest

from onlooker.stream.states_by_stream import StatesByStream


class Sum(msgspec.Struct):
    value: int = 0


def test_a_state_is_restored_in_another_process_and_forgotten() -> None:
    one, other = StatesByStream(Sum), StatesByStream(Sum)
    one.states["door"] = Sum(3)
    other.restore("door", one.snapshot("door"))
    assert other.states == {"door": Sum(3)}
    other.forget("door")
    other.forget("door")
    with pytest.raises(KeyError):
        other.snapshot("door")
