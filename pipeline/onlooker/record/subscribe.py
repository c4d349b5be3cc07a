"""The other end of `onlooker.record.sinks.publish`: records without a gap and without a repeat."""

import logging
import os
import time
from collections import deque
from collections.abc import Collection, Iterator, Mapping
from math import ceil, inf
from typing import TypeAlias

import msgspec
import zmq
from zmq.utils.monitor import parse_monitor_message

from onlooker.record import curve_keys
from onlooker.record.curve_keys import KeyPair
from onlooker.record.sinks.publish import (
    AT,
    END,
    INBOX,
    KINDS,
    QUEUE,
    Answer,
    PublishError,
    Request,
    keep_alive,
    kind,
)
from onlooker.rekognition.shapes import RecordError, StreamRecord, decode

ASK_AGAIN = 2.0
"""Seconds without an answer after which a request is taken for lost."""
SILENCE = 5.0
"""Seconds without a word after which the connection is made anew."""
MEETING = 0.5
"""Seconds for which a new connection is looked at, to see why nothing comes."""
HELD = 5000
"""Messages that are kept while an answer is awaited; what is more is asked for later."""

logger = logging.getLogger(__name__)

Since: TypeAlias = int | Mapping[str, int]

_answer = msgspec.msgpack.Decoder(Answer)
_sequences = msgspec.msgpack.Decoder(dict[str, int])


def subscribe(
    endpoint: str,
    streams: Collection[str] = (),
    kinds: Collection[str] = (),
    since: Since | None = None,
    timeout: float | None = None,
    keys: KeyPair | None = None,
    server: str | None = None,
) -> Iterator[StreamRecord]:
    """The records that are published at `endpoint`, until their publisher closes.

    They come in the order of each stream, with no gap and no repeat, however slow the caller is
    and whoever is killed in between: what was missed is asked for. A gap in `Sequence` that is left
    is a record that the log has no more.

    streams, kinds: narrow them; the kinds `face` and `text` include `face+text`. since: the
    Sequence of the last record one has, for all streams or for each (0: from the beginning of the
    log); without it they begin now. keys, server: own key pair and the publisher's public key,
    for one that has a key.

    Waits for a publisher that is not there, or that refuses the keys, as that may change; after
    SILENCE seconds the log of this module warns once of which it is. Raises TimeoutError after
    `timeout` seconds without a record, PublishError for an endpoint that is none, and where the
    publisher ended before it had answered, ValueError for an unknown kind, for keys without
    `server` and for a string as streams, and RecordError for a message that is not Onlooker's.
    """
    if unknown := sorted(set(kinds) - set(KINDS)):
        raise ValueError(f"kind {unknown[0]!r} is none of {', '.join(KINDS)}")
    wanted = {known for known in KINDS if {known, *known.split("+")} & set(kinds)} or set(KINDS)
    if isinstance(streams, str):
        raise ValueError(f"streams are names, as [{streams!r}], not one string")
    if keys is not None and server is None:
        raise ValueError("keys are of no use without the publisher's public key: give server, too")
    subscriber = Subscriber(endpoint, set(streams), since, timeout, keys, server)
    return subscriber.records(wanted)


class Subscriber:
    """One connection, and how far each stream is."""

    def __init__(
        self,
        endpoint: str,
        streams: Collection[str],
        since: Since | None,
        timeout: float | None,
        keys: KeyPair | None,
        server: str | None,
    ) -> None:
        self.endpoint = endpoint
        self._streams = streams
        self._floor = since if isinstance(since, int) else None
        self._last = dict(since) if isinstance(since, Mapping) else {}
        """Sequence of the last record of each stream; those before it are not wanted, or given."""
        self._timeout = timeout
        self._deadline = inf
        self._heard = self._joined = self._warned = False
        self._held: deque[list[bytes]] = deque(maxlen=HELD)
        self._inbox = os.urandom(12)
        self._requests = 0
        self._context = zmq.Context()
        try:
            self._socket = self._context.socket(zmq.XSUB)
            keep_alive(self._socket)
            self._socket.rcvhwm = QUEUE
            self._socket.linger = 0
            self._socket.reconnect_ivl = 20  # ms
            if server is not None:
                mine = keys or KeyPair(*(half.decode() for half in zmq.curve_keypair()))
                self._socket.curve_serverkey = curve_keys.check(server).encode()
                self._socket.curve_publickey = mine.public.encode()
                self._socket.curve_secretkey = mine.secret.encode()
            # AT comes last: when the publisher hears of it, all others are in force.
            topics = [f"{stream}/".encode() for stream in streams] or [
                bytes([letter]) for letter in range(1, 256)
            ]
            for topic in [*topics, END, INBOX + self._inbox, AT]:
                self._socket.send(b"\x01" + topic)
            self._socket.connect(endpoint)
        except zmq.ZMQError as error:
            self._context.destroy(linger=0)
            raise PublishError(
                f"{endpoint}: cannot subscribe there: {error}; write tcp://HOST:PORT"
            ) from error

    def records(self, kinds: Collection[str]) -> Iterator[StreamRecord]:
        self._deadline = _after(self._timeout)
        try:
            while True:
                topic, *parts = self._held.popleft() if self._held else self._receive(inf)
                if len(parts) != 1:
                    raise RecordError(f"{topic!r}: not a message of Onlooker's")
                if topic in (AT, END):
                    found = self._catch_up(_sequences.decode(parts[0]), topic == END)
                elif topic.startswith(INBOX):
                    continue  # late, and asked for again meanwhile
                else:
                    found = self._live(topic, parts[0])
                for record in found:
                    if kind(record) in kinds:
                        self._heard = True
                        yield record
                    self._deadline = _after(self._timeout)
                if topic == END:
                    return
        finally:
            self._context.destroy(linger=0)

    def _wanted(self, stream: str) -> bool:
        return not self._streams or stream in self._streams

    def _catch_up(self, sequences: dict[str, int], last: bool) -> Iterator[StreamRecord]:
        """The publisher says how far it is: ask for what should have come."""
        for stream, sequence in sequences.items():
            if not self._wanted(stream):
                continue
            if stream not in self._last and self._floor is None and not self._joined:
                self._last[stream] = sequence  # begin now
            before = self._last.setdefault(stream, self._floor or 0)
            if before < sequence:
                yield from self._missed(stream, sequence + 1, last)
        self._joined = True

    def _live(self, topic: bytes, body: bytes) -> Iterator[StreamRecord]:
        stream, _, what = topic.decode(errors="replace").rpartition("/")
        if what not in KINDS:
            raise RecordError(f"{topic!r}: not a message of Onlooker's")
        if not self._joined or not self._wanted(stream):
            return
        record = decode(body)
        before = self._last.setdefault(stream, self._floor or 0)
        if record.Sequence > before + 1:
            yield from self._missed(stream, record.Sequence, False)
        if record.Sequence > self._last[stream]:
            self._last[stream] = record.Sequence
            yield record

    def _missed(self, stream: str, until: int, last: bool) -> Iterator[StreamRecord]:
        """The records of `stream` behind the last one and before `until`, from the log."""
        while self._last[stream] < until - 1:
            bodies = self._ask(stream, until, last)
            for body in bodies:
                record = decode(body)
                self._last[stream] = record.Sequence
                yield record
            if not bodies:  # the log has no more of them
                self._last[stream] = until - 1

    def _ask(self, stream: str, until: int, last: bool) -> list[bytes]:
        while True:
            self._requests += 1
            request = Request(self._inbox, self._requests, stream, self._last[stream], until).pack()
            self._socket.send(request)
            again = time.monotonic() + ASK_AGAIN
            while (message := self._receive_until(again)) is not None:
                if message[0] != INBOX + self._inbox:
                    self._held.append(message)
                    last = last or message[0] == END
                    continue
                answer = _answer.decode(message[1])
                if answer.number == self._requests:
                    return answer.bodies
            if last:
                raise PublishError(
                    f"{self.endpoint}: its publisher has ended; the records of {stream} from "
                    f"Sequence {self._last[stream] + 1} on are in its log"
                )

    def _receive_until(self, end: float) -> list[bytes] | None:
        try:
            return self._receive(end)
        except _NothingYet:
            return None

    def _receive(self, end: float) -> list[bytes]:
        """The next message; _NothingYet at time `end`, TimeoutError where the caller set one."""
        nearest = min(end, self._deadline)
        while True:
            now = time.monotonic()
            if self._socket.poll(ceil(max(0.0, min(nearest - now, SILENCE)) * 1000)):
                return self._socket.recv_multipart()
            if time.monotonic() >= nearest:
                break
            # Publishers say something every second: this one, or what is between, is gone.
            if not self._joined and not self._warned:
                self._warned = True
                self._warn()
            self._socket.disconnect(self.endpoint)
            self._socket.connect(self.endpoint)
        if end <= self._deadline:
            raise _NothingYet
        what = "no further record" if self._heard else "no record"
        raise TimeoutError(f"{self.endpoint}: {what} in {self._timeout:g} s")

    def _warn(self) -> None:
        """Say why nothing has come: there is nobody, or somebody who does not talk to us."""
        events = zmq.Event.CONNECTED | zmq.Event.HANDSHAKE_SUCCEEDED
        monitor = self._socket.get_monitor_socket(events)
        seen = 0
        try:
            self._socket.disconnect(self.endpoint)
            self._socket.connect(self.endpoint)
            end = time.monotonic() + MEETING
            while (left := end - time.monotonic()) > 0 and monitor.poll(ceil(left * 1000)):
                seen |= int(parse_monitor_message(monitor.recv_multipart())["event"])
        finally:
            self._socket.disable_monitor()
            monitor.close()
        if not seen & zmq.Event.CONNECTED:
            cause = "nobody publishes there; is the address right?"
        elif not seen & zmq.Event.HANDSHAKE_SUCCEEDED:
            cause = (
                "what is there refuses this subscriber; are the publisher's public key and one's "
                "own key right, and does the publisher know it?"
            )
        else:
            cause = "what is there says nothing; is it a publisher of Onlooker's?"
        logger.warning("%s: %s Still waiting.", self.endpoint, cause)


class _NothingYet(Exception):
    """The time to wait is over."""


def _after(seconds: float | None) -> float:
    return inf if seconds is None else time.monotonic() + seconds
