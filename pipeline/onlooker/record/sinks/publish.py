"""The ZeroMQ sink: records to every subscriber, over an XPUB socket.

A slow subscriber delays no other: records that do not fit its queue are dropped,
which show there as gaps in `Sequence`. `onlooker.record.subscribe` then asks for them, and the
publisher answers from the log. `onlooker.record.sinks.publish_messages` has the messages.
"""

import logging
import time
from collections.abc import Collection, Sequence
from typing import Self

import msgspec
import zmq

from onlooker.record import curve_keys
from onlooker.record.curve_keys import KeyPair
from onlooker.record.log.reader import Entry, Log, LogError
from onlooker.record.log.schema import id_of
from onlooker.record.sinks import endpoints
from onlooker.record.sinks.endpoints import Binding
from onlooker.record.sinks.publish_messages import (
    APPEARANCE,
    AT,
    END,
    INBOX,
    MAX_QUEUE_RECORDS,
    READING,
    REQUEST,
    Answer,
    Message,
    PublishError,
    keep_alive,
    kind,
    pack_newest,
    unpack_request,
)
from onlooker.record.sinks.sink import Follower
from onlooker.rekognition.shapes import RecordError, StreamRecord, decode

LINGER_SECONDS = 2.0
"""Longest time for which closing waits for slow subscribers."""
QUIET_SECONDS = 0.3
"""Time without a request after which closing assumes that subscribers have everything."""
AT_SECONDS = 1.0
"""Time between AT messages."""
BATCH_RECORDS = 100
"""Records published, or sent in one answer, before subscribers are served again."""
MAX_REQUEST_BYTES = 4096
"""Largest message of a subscriber; a larger one disconnects it."""

logger = logging.getLogger(__name__)


class Publisher:
    """A sink that publishes the records of `log` after `position` at `endpoint`.

    position: None means the end of the log. endpoint: `ipc://PATH` or `tcp://ADDRESS:PORT`. With
    `keys`, records are encrypted and only subscribers that have the secret of a public key in
    `clients` are admitted. Raises PublishError if the endpoint cannot be bound, or if other
    machines can reach it without keys.

    Call `follower.step` and `serve` in turn.
    """

    def __init__(
        self,
        log: Log,
        endpoint: str,
        position: int | None = None,
        keys: KeyPair | None = None,
        clients: Collection[str] = (),
    ) -> None:
        endpoints.check_publishable(endpoint, keys is not None)
        self._log = log
        self._log_id = log.ask(id_of)
        self.position = log.position if position is None else position
        self.follower = Follower(log, self, BATCH_RECORDS)
        self._sequences = log.sequences_at(self.position)
        self._told = 0.0
        """Time of the last AT message."""
        self._asked = 0.0
        """Time of the last request."""
        self._ended = False
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.XPUB)
        keep_alive(self._socket)
        self._socket.setsockopt(zmq.XPUB_VERBOSE, 1)  # every subscription is answered with an AT
        self._socket.sndhwm = MAX_QUEUE_RECORDS
        self._socket.maxmsgsize = MAX_REQUEST_BYTES
        self._socket.linger = round(LINGER_SECONDS * 1000)
        self._guard = (
            curve_keys.admit(self._context, self._socket, keys, clients, "publish")
            if keys
            else None
        )
        self._binding: Binding | None = None
        try:
            self._binding = Binding(self._socket, endpoint)
        except PublishError:
            self._release()
            raise
        self.endpoint = self._socket.get_string(zmq.LAST_ENDPOINT)
        """With the port that `tcp://127.0.0.1:*` was given."""

    def write(self, entries: Sequence[Entry]) -> None:
        """Publish records. A damaged one is left out: subscribers see a gap."""
        for entry in entries:
            self.position = entry.position
            self._sequences[entry.stream] = entry.sequence
            try:
                record = _intact(entry)
            except RecordError as error:
                logger.error("record not published position=%d error=%s", entry.position, error)
                continue
            self._send(f"{entry.stream}/{kind(record)}".encode(), entry.body)
            for event in record.Appearances:
                if not event.Quiet:
                    self._send(f"{entry.stream}/{APPEARANCE}".encode(), msgspec.json.encode(event))
            for reading in record.Readings:
                self._send(f"{entry.stream}/{READING}".encode(), msgspec.json.encode(reading))

    def serve(self, seconds: float = 0.0) -> bool:
        """Answer subscribers, and wait up to `seconds` for the first message.

        Returns whether a subscription was among the messages. Raises LogError if the log cannot be
        read.
        """
        subscribed = False
        self._socket.poll(round(max(0.0, seconds) * 1000))
        for _ in range(BATCH_RECORDS):
            try:
                message = self._socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                break
            if message.startswith(b"\x01"):
                subscribed = True
                if message[1:] == AT:
                    self._tell(END if self._ended else AT)
            elif message.startswith(REQUEST):
                self._answer(message)
        if not self._ended and time.monotonic() - self._told > AT_SECONDS:
            self._tell(AT)
        return subscribed

    def wait_for_subscriber(self, seconds: float) -> bool:
        """Return whether a subscription arrives within `seconds`."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if self.serve(left):
                return True
        return False

    def close(self) -> None:
        """Publish the rest and an END, answer the last requests, and close."""
        if self._socket.closed:
            return
        try:
            self.follower.catch_up()
            self._ended = True
            self._tell(END)
            end = self._asked = time.monotonic()
            while (now := time.monotonic()) < (
                until := min(end + LINGER_SECONDS, self._asked + QUIET_SECONDS)
            ):
                self.serve(until - now)
        except LogError as error:
            logger.error("the last records were not published error=%s", error)
        self._release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _send(self, topic: bytes, body: bytes) -> None:
        self._socket.send_multipart(Message(topic, body, self._log_id))

    def _release(self) -> None:
        if self._binding is not None:
            self._binding.close()
        self._socket.close()
        if self._guard is not None:
            self._guard.stop()
        self._context.term()

    def _tell(self, topic: bytes) -> None:
        self._told = time.monotonic()
        self._send(topic, pack_newest(self._sequences))

    def _answer(self, message: bytes) -> None:
        try:
            request = unpack_request(message)
        except RecordError as error:
            logger.warning("request dropped error=%s", error)
            return
        self._asked = time.monotonic()
        found = self._log.missed(request.stream, request.since, request.until, BATCH_RECORDS)
        answer = Answer(request.number, [entry.body for entry in found if entry.intact])
        self._send(INBOX + request.inbox, msgspec.msgpack.encode(answer))


def _intact(entry: Entry) -> StreamRecord:
    if not entry.intact:
        raise RecordError("it is not what was written; `onlooker log check` says more")
    return decode(entry.body)
