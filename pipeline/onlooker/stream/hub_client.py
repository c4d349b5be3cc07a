"""One process's connection to the hub, for workers and sources alike.

It registers its process with a hub that does not know it (the hub or the process was restarted, or
a message was lost), sends heartbeats from a thread, so that a step may take any time, and ends the
process if the supervisor has gone. Before the first registration it is silent: loading models
holds the interpreter for seconds, and a process that is heard once counts as dead if no heartbeat
follows.
"""

import logging
import math
import os
import threading
import time
from collections.abc import Callable
from typing import Self

import zmq

from onlooker.stream import messages
from onlooker.stream.run_directory import Plan

RECEIVE_SECONDS = 0.1
"""Wait for the hub before a process checks for an order to stop."""
LAST_MESSAGE_SECONDS = 1.0
"""Longest time that a last message may take to reach the hub."""
MAX_QUEUED = 10_000
"""Messages that may wait for the hub, far more than any window has frames."""

logger = logging.getLogger(__name__)


class HubClient:
    """The hub, as a worker or a source sees it.

    registration: returns the message that `register` sends: of its own accord, or as the answer to
    the hub with a number.
    """

    def __init__(
        self, plan: Plan, name: str, registration: Callable[[int | None], messages.ToHub]
    ) -> None:
        self.name = name
        self._plan = plan
        self._registration = registration
        self._silence = plan.config.pipeline.heartbeat * plan.config.pipeline.liveness
        """Seconds without a message after which the process registers again."""
        self._registered = -math.inf
        self._active = 0.0
        self._context = zmq.Context()
        self._socket = self._connect(name, MAX_QUEUED)
        self._closing = threading.Event()
        self._heartbeat = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self._heartbeat.start()

    def register(self, hub: int | None = None) -> None:
        """Send the registration."""
        self._registered = time.monotonic()
        self.send(self._registration(hub))

    def send(self, message: messages.ToHub, frame: bytes = b"") -> None:
        """Send a message. It waits in a queue while the hub does not run."""
        self._active = time.monotonic()
        self._socket.send_multipart(messages.pack(message, frame))

    def receive(self, seconds: float = RECEIVE_SECONDS) -> tuple[messages.FromHub, bytes] | None:
        """Return the next message of the hub; None if none comes within `seconds`."""
        if not self._socket.poll(round(seconds * 1000)):
            if time.monotonic() - self._active > self._silence:
                self.register()  # a message from or to this process may have been lost
            return None
        parts = self._socket.recv_multipart()
        self._active = time.monotonic()
        message, frame = messages.unpack_from_hub(parts)
        if isinstance(message, messages.RegisterAgain):
            # One answer is enough for all questions that came while this process was busy.
            if self._active - self._registered > self._plan.config.pipeline.heartbeat / 2:
                self.register(message.hub)
            return None
        return message, frame

    def send_last(self, message: messages.ToHub) -> None:
        """Send a last message; closing waits until the hub has it, for a second at most."""
        self._socket.linger = round(LAST_MESSAGE_SECONDS * 1000)
        self.send(message)

    def close(self) -> None:
        """Disconnect."""
        self._closing.set()
        self._heartbeat.join()
        self._socket.close()
        self._context.term()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _connect(self, name: str, queue: int) -> zmq.Socket[bytes]:
        socket = self._context.socket(zmq.DEALER)
        socket.routing_id = name.encode()
        socket.linger = 0
        socket.sndhwm = socket.rcvhwm = queue
        socket.reconnect_ivl = 20  # ms; a hub is back in some hundred
        socket.connect(self._plan.hub)
        return socket

    def _beat(self) -> None:
        socket = self._connect(f"{self.name}/beat", 1)  # a late heartbeat says nothing: keep one
        while not self._closing.wait(self._plan.config.pipeline.heartbeat):
            if os.getppid() != self._plan.parent:
                # Not by an exception: the main thread may be deep in a step, and its work is as
                # safe against this as against any other death.
                os._exit(1)
            if math.isinf(self._registered):
                continue
            try:
                socket.send_multipart(messages.pack(messages.Heartbeat(self.name)), zmq.NOBLOCK)
            except zmq.Again:
                logger.debug("hub does not listen name=%s", self.name)
        socket.close()
