"""Topics, and what goes over the wire."""

import contextlib
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onlooker.record.sinks.publish_messages import (
    MAX_SEQUENCE,
    Answer,
    Request,
    kind,
    pack_sequences,
    unpack_answer,
    unpack_request,
    unpack_sequences,
)
from onlooker.rekognition.shapes import RecordError, StreamRecord

Records = Callable[..., list[StreamRecord]]


def test_kinds(records: Records) -> None:
    assert kind(records(1)[0]) == "face+text"
    assert kind(records(1, lines=0)[0]) == "face"
    assert kind(records(1, faces=0)[0]) == "text"
    assert kind(records(1, faces=0, lines=0)[0]) == "none"
    assert kind(records(1, error="damaged")[0]) == "failed"


@given(
    st.binary(max_size=40)
    | st.lists(st.integers(-(2**63), 2**63) | st.binary() | st.text()).map(msgspec.msgpack.encode)
)
def test_whatever_comes_is_a_request_or_an_error_of_ours(message: bytes) -> None:
    kinds = {unpack_request: Request, unpack_answer: Answer, unpack_sequences: dict}
    for unpack, kind_of_message in kinds.items():
        with contextlib.suppress(RecordError):
            assert isinstance(unpack(message), kind_of_message)


def test_there_and_back() -> None:
    request = Request(b"me", 1, "Größe", 0, MAX_SEQUENCE + 1)
    assert unpack_request(request.pack()) == request
    assert unpack_sequences(pack_sequences({"Größe": MAX_SEQUENCE})) == {"Größe": MAX_SEQUENCE}
    for sequences in ({"a": -1}, {"a": MAX_SEQUENCE + 1}):
        with pytest.raises(RecordError, match="not a message"):
            unpack_sequences(pack_sequences(sequences))
