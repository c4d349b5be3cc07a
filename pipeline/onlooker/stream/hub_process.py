"""The hub's process: it puts `onlooker.stream.hub` on a ROUTER socket."""

import logging
import os
import random
import shutil
import sys
import time
from pathlib import Path

import zmq

from onlooker.child_process import leave, stop_event
from onlooker.stream import messages, run_directory
from onlooker.stream.hub import Hub, Send

MAX_QUEUED = 10_000
"""Messages that may wait for, or from, one peer; far more than all windows allow."""
MAX_IN_A_ROW = 1000
"""Messages that are handled before the clock and the parent are checked."""
POLL_SECONDS = 0.2
"""Maximum wait for a message between checks of the clock and the parent."""

logger = logging.getLogger(__name__)


def main(run: Path, name: str) -> None:
    """Serve the run in directory `run`, as `name`, until the stop order or the parent's end."""
    stop = stop_event(name)
    plan = run_directory.read(run)
    settings = plan.config.pipeline
    # Not in the plan: each hub of a run must have a seed of its own.
    hub = Hub(plan.stages, settings, seed=random.SystemRandom().getrandbits(30))
    with zmq.Context() as context, context.socket(zmq.ROUTER) as router:
        router.linger = 0
        router.router_mandatory = 1  # report peers that are gone instead of dropping messages
        router.rcvhwm = router.sndhwm = MAX_QUEUED
        router.rcvtimeo = round(POLL_SECONDS * 1000)
        router.bind(plan.hub)
        ticked = time.monotonic()
        while not stop.is_set():
            if os.getppid() != plan.parent:
                shutil.rmtree(run, ignore_errors=True)  # no other process is left to do it
                return
            _serve(hub, router)
            now = time.monotonic()
            if now - ticked > settings.heartbeat / 4:
                ticked = now
                _deliver(hub, router, hub.tick(now))


def _serve(hub: Hub, router: zmq.Socket[bytes]) -> None:
    """Wait for a message, then handle all that have arrived: no peer that wrote seems silent."""
    flags = zmq.Flag(0)
    for _ in range(MAX_IN_A_ROW):
        try:
            sender, *parts = router.recv_multipart(flags)
        except zmq.Again:
            return
        flags = zmq.NOBLOCK
        try:
            message, frame = messages.unpack_to_hub(parts)
        except messages.MessageError as error:
            logger.error("message dropped sender=%r error=%s", sender, error)
            continue
        # ZeroMQ names a peer that sets no name, and such a name may be any bytes.
        name = sender.decode(errors="surrogateescape")
        _deliver(hub, router, hub.handle(name, message, frame, time.monotonic()))


def _deliver(hub: Hub, router: zmq.Socket[bytes], sends: list[Send]) -> None:
    for receiver, message, frame in sends:
        try:
            name = receiver.encode(errors="surrogateescape")
            router.send_multipart([name, *messages.pack(message, frame)], zmq.NOBLOCK)
        except zmq.ZMQError as error:
            if error.errno not in (zmq.EHOSTUNREACH, zmq.EAGAIN):
                raise
            # EAGAIN: the peer's queue is full, so it cannot be alive.
            _deliver(hub, router, hub.unreachable(receiver))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
    leave(0)
