"""The gateway's process: it lets other machines join a run, by their keys."""

import logging
import resource
import sys
import time
from pathlib import Path

import zmq

from onlooker.child_process import leave, stop_event
from onlooker.config.serving import Workers
from onlooker.errors import OnlookerError
from onlooker.models.card import WeightsError
from onlooker.record import curve_keys
from onlooker.record.curve_keys import BadKey
from onlooker.record.sinks import endpoints
from onlooker.record.sinks.publish_messages import PublishError, keep_alive
from onlooker.stream import gateway_messages, messages, run_directory
from onlooker.stream.gateway import MAX_MACHINES, MAX_WORKERS, Gateway
from onlooker.stream.hub_client import HubClient

POLL_SECONDS = 0.1
"""Maximum wait for a message before the clock and the stop order are checked."""
BUSY_SECONDS = 1.0
"""Time between two attempts to listen where another program listens."""
OTHER_FILES = 100
"""Files that the process has open besides those of machines and workers."""
MAX_QUEUED = 100
"""Messages of one machine that may wait to be read."""

logger = logging.getLogger(__name__)


class GatewayError(OnlookerError):
    """Machines cannot join; the text says why and what to do."""


def main(run: Path, name: str) -> int:
    """Let machines join the run in directory `run`, as `name`, until the stop order.

    Returns the exit status: 1 if it cannot, and has told the hub why.
    """
    stop = stop_event(name)
    plan = run_directory.read(run)
    heartbeat = plan.config.pipeline.heartbeat
    with HubClient(plan, name, lambda _: messages.Register()) as hub, zmq.Context() as context:
        router = context.socket(zmq.ROUTER)
        guard = None
        try:
            keys = curve_keys.read(Path(plan.config.workers.key or ""))
            clients = frozenset(map(curve_keys.check, plan.config.workers.clients))
            guard = curve_keys.admit(context, router, keys, clients, "workers")
            gateway = Gateway(run, plan, router, max_workers())
            hub.register()
            endpoint = plan.config.workers.listen or ""
            if not (bound := bind(router, endpoint)):
                logger.warning("no machine can join yet: another program listens at %s", endpoint)
            while not bound and not stop.is_set():  # another run, until it ends
                hub.receive(BUSY_SECONDS)
                bound = bind(router, endpoint)
            ticked = time.monotonic()
            while not stop.is_set():
                gateway.step(POLL_SECONDS, now := time.monotonic())
                hub.receive(0)
                if now - ticked > heartbeat / 4:
                    ticked = now
                    gateway.tick(now)
            gateway.close()
        except (BadKey, GatewayError, WeightsError) as error:
            hub.send_last(messages.Broken(f"[workers] {error}"))
            return 1
        finally:
            router.close(linger=0)
            if guard is not None:
                guard.stop()
    return 0


def bind(router: "zmq.Socket[bytes]", endpoint: str) -> bool:
    """Have machines connect to the router; return False if another program has the address.

    Raises GatewayError if it is none of this machine's.
    """
    router.router_mandatory = 1  # report machines that are gone instead of dropping messages
    router.router_handover = 1
    router.rcvhwm = MAX_QUEUED
    router.sndhwm = 0  # the gateway itself keeps account of what is on its way
    router.maxmsgsize = gateway_messages.MAX_REQUEST_BYTES
    router.handshake_ivl = gateway_messages.HANDSHAKE_MS
    router.ipv6 = endpoint.startswith("tcp://[")
    keep_alive(router)
    try:
        router.bind(endpoint)
    except zmq.ZMQError as error:
        if error.errno == zmq.EADDRINUSE:
            return False
        raise GatewayError(
            f"listen: {endpoint}: {error.strerror}; name an address of this machine"
        ) from error
    return True


def max_workers() -> int:
    """Return how many workers the gateway takes: each needs two open files."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return MAX_WORKERS
    return max(0, min(MAX_WORKERS, (files - OTHER_FILES - MAX_MACHINES) // 2))


def check(workers: Workers) -> None:
    """Raise GatewayError unless the section `[workers]` can be used."""
    if workers.listen is None:
        return
    try:
        endpoints.check(workers.listen)
        curve_keys.read(Path(workers.key or ""))
        for client in workers.clients:
            curve_keys.check(client)
    except (BadKey, PublishError) as error:
        raise GatewayError(f"[workers] {error}") from error


if __name__ == "__main__":
    leave(main(Path(sys.argv[1]), sys.argv[2]))
