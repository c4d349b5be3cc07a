"""A spoke: one process's end of the line to the hub, for workers and sources alike.

It introduces its process to a hub that does not know it (the hub's or its own restart, a message
lost), beats its heart from a thread, so that a step may take as long as it likes, and ends the
process when the supervisor has gone. Before the first introduction it is silent: loading models
holds the interpreter for seconds, and who is heard once is taken for dead when no beat follows.
"""

import logging
import math
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Self

import zmq

from onlooker.stream import messages
from onlooker.stream.run_directory import Plan

LOOK = 0.1
"""Seconds after which a process that waits for the hub looks for a stop order."""
FAREWELL = 1.0
"""Seconds that a last message may take to the hub."""
QUEUE = 10_000
"""Messages that may wait for the hub, which are as many as the window has frames."""

logger = logging.getLogger(__name__)


def stop_order(name: str) -> threading.Event:
    """What every child process begins with: it logs to stderr as `name`; SIGTERM sets the event."""
    logging.basicConfig(
        level=os.environ.get("ONLOOKER_LOG", "WARNING").upper(),
        format=f"%(levelname)s {name} %(message)s",
    )
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    return stop


class HubClient:
    """The hub, as a worker or a source sees it.

    `introduction` makes the message that a stranger says first, or in answer to the hub of a
    number; `introduce` sends it.
    """

    def __init__(
        self, plan: Plan, name: str, introduction: Callable[[int | None], messages.ToHub]
    ) -> None:
        self.name = name
        self._plan = plan
        self._introduction = introduction
        self._patience = plan.config.pipeline.heartbeat * plan.config.pipeline.liveness
        self._introduced = -math.inf
        self._active = 0.0
        self._context = zmq.Context()
        self._socket = self._connect(name, QUEUE)
        self._left = threading.Event()
        self._pulse = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self._pulse.start()

    def introduce(self, hub: int | None = None) -> None:
        self._introduced = time.monotonic()
        self.send(self._introduction(hub))

    def send(self, message: messages.ToHub, frame: bytes = b"") -> None:
        self._active = time.monotonic()
        self._socket.send_multipart(messages.pack(message, frame))

    def receive(self, wait: bool = True) -> tuple[messages.FromHub, bytes] | None:
        """What the hub says; None if that is nothing, at once or for a moment's wait."""
        if not self._socket.poll(round(LOOK * 1000) if wait else 0):
            if time.monotonic() - self._active > self._patience:
                self.introduce()  # what was meant for us, or said by us, may have got lost
            return None
        parts = self._socket.recv_multipart()
        self._active = time.monotonic()
        message, frame = messages.unpack_from_hub(parts)
        if isinstance(message, messages.RegisterAgain):
            # One answer is enough for all who asked while this process was busy.
            if self._active - self._introduced > self._plan.config.pipeline.heartbeat / 2:
                self.introduce(message.hub)
            return None
        return message, frame

    def farewell(self, message: messages.ToHub) -> None:
        """Send a last message and wait until the hub has it, for a second at most."""
        self._socket.linger = round(FAREWELL * 1000)
        self.send(message)

    def close(self) -> None:
        self._left.set()
        self._pulse.join()
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
        socket = self._connect(f"{self.name}/beat", 1)  # a late beat says nothing: keep no more
        while not self._left.wait(self._plan.config.pipeline.heartbeat):
            if os.getppid() != self._plan.parent:
                # Not by an exception: the main thread may be deep in a step, and what it was doing
                # is as safe against this as against any other death.
                os._exit(1)
            if math.isinf(self._introduced):
                continue
            try:
                socket.send_multipart(messages.pack(messages.Heartbeat(self.name)), zmq.NOBLOCK)
            except zmq.Again:
                logger.debug("hub does not listen name=%s", self.name)
        socket.close()
