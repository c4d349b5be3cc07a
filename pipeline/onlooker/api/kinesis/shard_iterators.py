"""Positions in a shard, as clients hold them: sequence numbers, and iterators that expire.

A SequenceNumber is the record's position in the log behind the digits that Amazon's begin with, all
of one length: they rise as numbers and as texts. An iterator is signed: it holds the stream, the
position behind which it reads, and its time.
"""

import re
import struct
import time
from datetime import UTC, datetime
from typing import NamedTuple

from onlooker import page_token
from onlooker.api.errors import Refusal

SHARD = "shardId-000000000000"
PREFIX, DIGITS = "4961", 52
"""The form of sequence numbers: 56 digits, as Amazon's of today."""
MAX_AGE_MILLISECONDS = 300_000
"""Age at which an iterator expires."""

_SHARD = re.compile(r"(?:shardId-)?(\d{1,12})")
_FORM = ">qq"


class ShardIterator(NamedTuple):
    """A position in the shard of a stream."""

    stream: str
    position: int
    """The records after this position of the log come next."""


def sequence_number(position: int) -> str:
    """Return the SequenceNumber of the record at a position of the log."""
    return f"{PREFIX}{position:0{DIGITS}d}"


FIRST = sequence_number(0)
"""StartingSequenceNumber of a shard: before all records."""


def position_of(number: str) -> int | None:
    """Return the position of the record with this SequenceNumber; None if it is not one of ours."""
    if len(number) != len(PREFIX) + DIGITS or not number.startswith(PREFIX):
        return None
    position = int(number[len(PREFIX) :])
    return position if position < 2**63 else None


def is_shard(shard: str) -> bool | None:
    """Return whether a ShardId is that of a stream's one shard; None if it is not a ShardId."""
    found = _SHARD.fullmatch(shard)
    return None if found is None else int(found[1]) == 0


def sign(secret: bytes, iterator: ShardIterator, now: float) -> str:
    """Return an iterator as clients get it."""
    times = struct.pack(_FORM, iterator.position, round(now * 1000))
    return page_token.sign(secret, (SHARD,), times + iterator.stream.encode())


def stream_of(secret: bytes, token: str) -> str | None:
    """Return the stream that an iterator reads, even if it has expired; None if it is not ours."""
    found = _verified(secret, token)
    return None if found is None else found[0].stream


def verify(secret: bytes, token: str, now: float | None = None) -> ShardIterator:
    """Return the iterator that a client has sent. Raises Refusal."""
    found = _verified(secret, token)
    if found is None:
        raise Refusal("InvalidArgumentException", "Invalid ShardIterator.")
    iterator, made = found
    moment = round((time.time() if now is None else now) * 1000)
    if moment - made > MAX_AGE_MILLISECONDS:
        raise Refusal(
            "ExpiredIteratorException",
            f"Iterator expired. The iterator was created at time {_text(made)} while right now it "
            f"is {_text(moment)} which is further in the future than the tolerated delay of "
            f"{MAX_AGE_MILLISECONDS} milliseconds.",
        )
    return iterator


def _verified(secret: bytes, token: str) -> tuple[ShardIterator, int] | None:
    try:
        content = page_token.verify(secret, (SHARD,), token)
    except page_token.InvalidToken:
        return None
    size = struct.calcsize(_FORM)
    position, made = struct.unpack(_FORM, content[:size])
    return ShardIterator(content[size:].decode(), position), made


def _text(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%a %b %d %H:%M:%S UTC %Y")
