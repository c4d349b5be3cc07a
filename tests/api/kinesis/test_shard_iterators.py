"""Sequence numbers and iterators: their order, their form, their age."""

import base64
import re

import pytest
from botocore.loaders import Loader
from hypothesis import given
from hypothesis import strategies as st

from onlooker.api.errors import Refusal
from onlooker.api.kinesis import shard_iterators
from onlooker.api.kinesis.shard_iterators import (
    FIRST,
    SHARD,
    ShardIterator,
    is_shard,
    position_of,
    sequence_number,
    sign,
    stream_of,
    verify,
)

SECRET = b"s" * 32
POSITIONS = st.integers(0, 2**63 - 1)
STREAMS = st.from_regex(r"[a-zA-Z0-9_.\-]{1,128}", fullmatch=True)


@given(POSITIONS, POSITIONS)
def test_numbers_rise_as_numbers_and_as_texts(one: int, other: int) -> None:
    first, second = sequence_number(one), sequence_number(other)
    assert len(first) == len(second) == 56
    assert (int(first) < int(second)) == (first < second) == (one < other)
    assert position_of(first) == one


def test_numbers_have_the_form_that_amazon_allows() -> None:
    shapes = Loader().load_service_model("kinesis", "service-2")["shapes"]
    for position in (0, 1, 2**63 - 1):
        assert re.fullmatch(shapes["SequenceNumber"]["pattern"], sequence_number(position))
    assert FIRST == "4961" + "0" * 52


@pytest.mark.parametrize(
    "number", ["0", "1", "4961", "4962" + "0" * 52, "4961" + "9" * 52, "4961" + "0" * 53, "x" * 56]
)
def test_numbers_that_are_not_ours(number: str) -> None:
    assert position_of(number) is None


@given(STREAMS, POSITIONS)
def test_an_iterator_holds_its_place(stream: str, position: int) -> None:
    token = sign(SECRET, ShardIterator(stream, position), 1000.0)
    assert len(token) <= 512
    assert verify(SECRET, token, 1300.0) == (stream, position)
    assert stream_of(SECRET, token) == stream


def test_an_iterator_lives_for_five_minutes() -> None:
    token = sign(SECRET, ShardIterator("door", 7), 1_421_889_722.0)
    assert verify(SECRET, token, 1_421_889_722.0 + 300).position == 7
    with pytest.raises(Refusal) as raised:
        verify(SECRET, token, 1_421_889_722.0 + 300.001)
    assert raised.value.name == "ExpiredIteratorException"
    assert raised.value.text == (
        "Iterator expired. The iterator was created at time Thu Jan 22 01:22:02 UTC 2015 while "
        "right now it is Thu Jan 22 01:27:02 UTC 2015 which is further in the future than the "
        "tolerated delay of 300000 milliseconds."
    )
    assert stream_of(SECRET, token) == "door", "so that a key without it is told the same"


@given(st.integers(0, 100), st.integers(1, 255))
def test_a_changed_iterator_is_refused(place: int, change: int) -> None:
    data = bytearray(base64.urlsafe_b64decode(sign(SECRET, ShardIterator("door", 7), 1000.0)))
    data[place % len(data)] ^= change
    with pytest.raises(Refusal, match=r"^Invalid ShardIterator\.$"):
        verify(SECRET, base64.urlsafe_b64encode(data).decode(), 1000.0)


@pytest.mark.parametrize("token", ["", "x", "AAAA", "ü", "AAAAAAAAAAE" * 20])
def test_what_was_not_made_here_is_no_iterator(token: str) -> None:
    with pytest.raises(Refusal) as raised:
        verify(SECRET, token)
    assert raised.value.name == "InvalidArgumentException"
    assert stream_of(SECRET, token) is None
    other = sign(b"another secret", ShardIterator("door", 7), 1000.0)
    assert stream_of(SECRET, other) is None


@pytest.mark.parametrize(
    ("shard", "ours"),
    [
        (SHARD, True),
        ("0", True),
        ("shardId-0", True),
        ("shardId-000000000001", False),
        ("door", None),
        ("shardId-", None),
        ("shardId--1", None),
    ],
)
def test_the_one_shard(shard: str, ours: bool | None) -> None:
    assert shard_iterators.is_shard is is_shard
    assert is_shard(shard) is ours
