"""Topics, and what goes over the wire."""

import contextlib
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onlooker.record.sinks.publish_messages import (
    MAX_SEQUENCE,
    VERSION,
    Answer,
    Message,
    Newest,
    Request,
    kind,
    pack_newest,
    unpack,
    unpack_answer,
    unpack_newest,
    unpack_request,
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
    kinds = {unpack_request: Request, unpack_answer: Answer, unpack_newest: Newest}
    for unpacked, kind_of_message in kinds.items():
        with contextlib.suppress(RecordError):
            assert isinstance(unpacked(message), kind_of_message)


def test_a_name_that_is_no_text_is_an_error_of_ours() -> None:
    request = Request(b"me", 1, "door", 0, 1).pack().replace(b"door", b"\xff" * 4)
    with pytest.raises(RecordError, match="not a request"):
        unpack_request(request)
    newest = pack_newest({"door": 1}).replace(b"door", b"\xff" * 4)
    with pytest.raises(RecordError, match="not a message"):
        unpack_newest(newest)


def test_there_and_back() -> None:
    request = Request(b"me", 1, "Größe", 0, MAX_SEQUENCE + 1)
    assert unpack_request(request.pack()) == request
    newest = Newest(VERSION, {"Größe": MAX_SEQUENCE})
    assert unpack_newest(pack_newest({"Größe": MAX_SEQUENCE})) == newest
    for sequences in ({"a": -1}, {"a": MAX_SEQUENCE + 1}):
        with pytest.raises(RecordError, match="not a message"):
            unpack_newest(pack_newest(sequences))


@pytest.mark.parametrize("parts", [[b"a"], [b"a", b"b"], [b"a", b"b", bytes(15)], [b"a"] * 4])
def test_a_message_has_a_topic_a_body_and_a_log(parts: list[bytes]) -> None:
    assert unpack([b"a", b"b", bytes(16)]) == Message(b"a", b"b", bytes(16))
    with pytest.raises(RecordError, match="b'a': not a message of Onlooker's publisher"):
        unpack(parts)


def test_another_version_of_the_protocol_is_named() -> None:
    with pytest.raises(RecordError, match=f"it has version 3 of the protocol, .* {VERSION};"):
        unpack_newest(msgspec.msgpack.encode([3, "whatever", {}, 7]))
    later = msgspec.msgpack.encode([VERSION, {"a": 1}, "an element of a later release"])
    assert unpack_newest(later).sequences == {"a": 1}
    answer = msgspec.msgpack.encode([7, [b"{}"], "an element of a later release"])
    assert unpack_answer(answer) == Answer(7, [b"{}"])
