"""Subscribing to published records, without a gap and without a repetition."""

import logging
import os
import re
import time
from collections import deque
from collections.abc import Collection, Generator, Iterator, Mapping
from math import ceil, inf
from typing import TypeAlias

import zmq
from zmq.utils.monitor import parse_monitor_message

from onlooker.record import curve_keys
from onlooker.record.curve_keys import KeyPair
from onlooker.record.sinks import endpoints
from onlooker.record.sinks.publish_messages import (
    APPEARANCE,
    AT,
    END,
    INBOX,
    KINDS,
    MAX_QUEUE_RECORDS,
    MAX_SEQUENCE,
    READING,
    Message,
    Newest,
    PublishError,
    Request,
    keep_alive,
    kind,
    unpack,
    unpack_answer,
    unpack_newest,
)
from onlooker.rekognition.shapes import RecordError, StreamRecord, decode

ANSWER_SECONDS = 2.0
"""Time without an answer after which a request is sent again."""
SILENCE_SECONDS = 5.0
"""Time without a message after which the subscriber connects again."""
HANDSHAKE_SECONDS = 0.5
"""Time for which a new connection is observed, to find out why no message comes."""
MAX_HELD_MESSAGES = 5000
"""Messages kept while an answer is awaited; the subscriber asks for dropped ones later."""

logger = logging.getLogger(__name__)

Since: TypeAlias = int | Mapping[str, int]
"""A Sequence for all streams, or one for each stream by its name."""


def subscribe(
    endpoint: str,
    streams: Collection[str] = (),
    kinds: Collection[str] = (),
    since: Since | None = None,
    timeout: float | None = None,
    keys: KeyPair | None = None,
    server: str | None = None,
    log: str | None = None,
) -> "Subscription":
    """Yield the records that are published at `endpoint`, until their publisher closes.

    They come in the order of each stream, with no gap and no repetition, however slow the caller is
    and whichever process is killed: the subscriber asks for what it missed. A gap in `Sequence`
    that remains is a record that is no longer in the log.

    streams, kinds: only these; the kinds `face` and `text` include `face+text`. since: the Sequence
    of the last record received before, for all streams or for each (0: from the beginning of the
    log); None means from now on. timeout: longest wait in seconds for a record; None means no
    limit. keys, server: the subscriber's own key pair and the publisher's public key, if records
    are encrypted. log: the log that `since` belongs to, as the subscription's attribute `log` said;
    None means whichever is published.

    It waits for a publisher that is not there yet or refuses the keys, since that may change; after
    SILENCE_SECONDS it logs one warning that says which. Raises TimeoutError after `timeout` seconds
    without a record. Raises PublishError if the endpoint is invalid, or if the publisher ended
    before it had answered. Raises OtherLog if the log is not `log`, or is replaced meanwhile.
    Raises RecordError if a message is not Onlooker's. Raises ValueError if a kind is unknown,
    `streams` is a string, `since` is negative, `log` is no id, or there are keys without `server`.

        for record in onlooker.subscribe("tcp://127.0.0.1:5555", streams=["door"], since=0):
            print(record.FrameInformation.Time, record.TextDetections)
    """
    if unknown := sorted(set(kinds) - set(KINDS)):
        raise ValueError(f"kind {unknown[0]!r} is none of {', '.join(KINDS)}")
    wanted = {known for known in KINDS if {known, *known.split("+")} & set(kinds)} or set(KINDS)
    if isinstance(streams, str):
        raise ValueError(f"streams are names, as [{streams!r}], not one string")
    sequences = since.values() if isinstance(since, Mapping) else [since or 0]
    if any(sequence < 0 for sequence in sequences):
        raise ValueError("since is a Sequence: 0 for the beginning of the log, or more")
    if keys is not None and server is None:
        raise ValueError("keys are of no use without the publisher's public key: give server, too")
    if log is not None and not re.fullmatch("[0-9a-f]{32}", log):
        raise ValueError(f"log is {log!r}; the id of a log has 32 hex digits")
    subscriber = Subscriber(endpoint, set(streams), since, timeout, keys, server, log)
    return Subscription(subscriber, wanted)


class OtherLog(PublishError):
    """The log that is published is another one: the Sequences of the one before mean nothing."""


class Subscription(Iterator[StreamRecord]):
    """The records of a subscription, and the log that they are in."""

    def __init__(self, subscriber: "Subscriber", kinds: Collection[str]) -> None:
        self._subscriber = subscriber
        self._records = subscriber.records(kinds)

    @property
    def log(self) -> str | None:
        """Id of the log, to be kept with the Sequences; None before the first record."""
        return self._subscriber.log

    def __next__(self) -> StreamRecord:
        return next(self._records)

    def close(self) -> None:
        """Close the connection, as the end of the records does."""
        self._records.close()


class Subscriber:
    """One subscription, and the last Sequence of each stream."""

    def __init__(
        self,
        endpoint: str,
        streams: Collection[str],
        since: Since | None,
        timeout: float | None,
        keys: KeyPair | None,
        server: str | None,
        log: str | None = None,
    ) -> None:
        endpoints.check(endpoint)
        self.endpoint = endpoint
        self.log = log
        """Id of the log that the Sequences are of; None before a publisher has said it."""
        self._streams = streams
        self._floor = since if isinstance(since, int) else None
        self._last = dict(since) if isinstance(since, Mapping) else {}
        """Sequence of each stream's last record; it and those before are not wanted."""
        self._timeout = timeout
        self._deadline = inf
        self._received = self._joined = self._warned = False
        self._held: deque[Message] = deque(maxlen=MAX_HELD_MESSAGES)
        self._inbox = os.urandom(12)
        self._requests = 0
        self._context = zmq.Context()
        try:
            self._socket = self._context.socket(zmq.XSUB)
            keep_alive(self._socket)
            self._socket.rcvhwm = MAX_QUEUE_RECORDS
            self._socket.linger = 0
            self._socket.reconnect_ivl = 20  # ms
            if server is not None:
                mine = keys or KeyPair(*(half.decode() for half in zmq.curve_keypair()))
                curve_keys.present(self._socket, mine, server)
            # AT comes last: when the publisher receives it, all others are in force.
            topics = [f"{stream}/".encode() for stream in streams] or [
                bytes([letter]) for letter in range(1, 256)
            ]
            for topic in [*topics, END, INBOX + self._inbox, AT]:
                self._socket.send(b"\x01" + topic)
            endpoints.prepare(self._socket, endpoint)
            self._socket.connect(endpoint)
        except zmq.ZMQError as error:
            self._context.destroy(linger=0)
            raise PublishError(
                f"{endpoint}: cannot subscribe there: {error}; write tcp://HOST:PORT"
            ) from error

    def records(self, kinds: Collection[str]) -> Generator[StreamRecord]:
        """Yield the records of these kinds. The connection is closed at the end."""
        self._deadline = _after(self._timeout)
        try:
            while True:
                topic, body, _ = self._held.popleft() if self._held else self._receive(inf)
                if topic in (AT, END):
                    found = self._catch_up(unpack_newest(body), topic == END)
                elif topic.startswith(INBOX):
                    continue  # late, and asked for again meanwhile
                else:
                    found = self._live(topic, body)
                for record in found:
                    if kind(record) in kinds:
                        self._received = True
                        yield record
                    self._deadline = _after(self._timeout)
                if topic == END:
                    return
        finally:
            self._context.destroy(linger=0)

    def _wanted(self, stream: str) -> bool:
        return not self._streams or stream in self._streams

    def _catch_up(self, newest: Newest, last: bool) -> Iterator[StreamRecord]:
        """Yield what should have come, by the streams' newest Sequences."""
        sequences = newest.sequences
        for stream, sequence in sequences.items():
            if not self._wanted(stream):
                continue
            if stream not in self._last and self._floor is None and not self._joined:
                self._last[stream] = sequence  # from now on
            if self._last.setdefault(stream, self._floor or 0) < sequence:
                yield from self._missed(stream, sequence + 1, last)
        if not self._joined and (unknown := set(self._streams) - sequences.keys()):
            logger.warning(
                "no such stream yet endpoint=%s streams=%s published=%s",
                self.endpoint,
                ",".join(sorted(unknown)),
                ",".join(sorted(sequences)) or "none",
            )
        self._joined = True

    def _live(self, topic: bytes, body: bytes) -> Iterator[StreamRecord]:
        stream, _, contents = topic.decode(errors="replace").rpartition("/")
        if contents in (APPEARANCE, READING):
            return  # the record has the event, too
        if contents not in KINDS:
            raise RecordError(f"{topic!r}: not a message of Onlooker's publisher")
        if not self._joined or not self._wanted(stream):
            return
        record = decode(body)
        if not 0 < record.Sequence <= MAX_SEQUENCE:
            raise RecordError(f"{record.Sequence} is not a Sequence; it begins {body[:60]!r}")
        before = self._last.setdefault(stream, self._floor or 0)
        if record.Sequence > before + 1:
            yield from self._missed(stream, record.Sequence, False)
        if record.Sequence > self._last[stream]:
            self._last[stream] = record.Sequence
            yield record

    def _missed(self, stream: str, until: int, last: bool) -> Iterator[StreamRecord]:
        """Yield from the log the records of `stream` after the last one and before `until`."""
        while self._last[stream] < until - 1:
            bodies = self._ask(stream, until, last)
            for body in bodies:
                record = decode(body)
                if not self._last[stream] < record.Sequence < until:
                    raise RecordError(
                        f"{self.endpoint}: record {record.Sequence} of {record.stream} is none of "
                        "those asked for"
                    )
                self._last[stream] = record.Sequence
                yield record
            if not bodies:  # the log has no more of them
                self._last[stream] = until - 1

    def _ask(self, stream: str, until: int, last: bool) -> list[bytes]:
        while True:
            self._requests += 1
            request = Request(self._inbox, self._requests, stream, self._last[stream], until).pack()
            self._socket.send(request)
            again = time.monotonic() + ANSWER_SECONDS
            while (message := self._receive_until(again)) is not None:
                if message.topic != INBOX + self._inbox:
                    self._held.append(message)
                    last = last or message.topic == END
                    continue
                answer = unpack_answer(message.body)
                if answer.number == self._requests:
                    return answer.bodies
            if last:
                raise PublishError(
                    f"{self.endpoint}: its publisher has ended; the records of {stream} from "
                    f"Sequence {self._last[stream] + 1} on are in its log"
                )

    def _receive_until(self, end: float) -> Message | None:
        try:
            return self._receive(end)
        except _NothingYet:
            return None

    def _receive(self, end: float) -> Message:
        """Return the next message.

        Raises OtherLog, RecordError, _NothingYet at the time `end`, and TimeoutError at the
        caller's deadline.
        """
        nearest = min(end, self._deadline)
        while True:
            now = time.monotonic()
            if self._socket.poll(ceil(max(0.0, min(nearest - now, SILENCE_SECONDS)) * 1000)):
                return self._of_this_log(unpack(self._socket.recv_multipart()))
            if time.monotonic() >= nearest:
                break
            # A publisher sends an AT every second: the connection, or the publisher, is gone.
            if not self._joined and not self._warned:
                self._warned = True
                self._warn()
            self._socket.disconnect(self.endpoint)
            self._socket.connect(self.endpoint)
        if end <= self._deadline:
            raise _NothingYet
        cause = "no further record" if self._received else "no record"
        raise TimeoutError(f"{self.endpoint}: {cause} in {self._timeout:g} s")

    def _of_this_log(self, message: Message) -> Message:
        log = message.log.hex()
        self.log = self.log or log
        if log != self.log:
            raise OtherLog(
                f"{self.endpoint}: publishes the log {log}, and your Sequences are of the log "
                f"{self.log}, which was deleted or is another one; subscribe with since=0 for all "
                "of this one"
            )
        return message

    def _warn(self) -> None:
        """Log why no message has come."""
        events = zmq.Event.CONNECTED | zmq.Event.HANDSHAKE_SUCCEEDED
        monitor = self._socket.get_monitor_socket(events)
        observed = 0
        try:
            self._socket.disconnect(self.endpoint)
            self._socket.connect(self.endpoint)
            end = time.monotonic() + HANDSHAKE_SECONDS
            while (left := end - time.monotonic()) > 0 and monitor.poll(ceil(left * 1000)):
                observed |= int(parse_monitor_message(monitor.recv_multipart())["event"])
        finally:
            self._socket.disable_monitor()
            monitor.close()
        if not observed & zmq.Event.CONNECTED:
            cause = "no publisher is listening there; check the address"
        elif not observed & zmq.Event.HANDSHAKE_SUCCEEDED:
            cause = (
                "the publisher refuses this subscriber; check its public key, your own key, and "
                "that yours is in its [publish] clients"
            )
        else:
            cause = "it is silent; check that it is a publisher of Onlooker's"
        logger.warning("still waiting endpoint=%s cause=%s", self.endpoint, cause)


class _NothingYet(Exception):
    """The time to wait is over."""


def _after(seconds: float | None) -> float:
    return inf if seconds is None else time.monotonic() + seconds
