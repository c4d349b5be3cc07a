"""A gateway with the test as its hub and its machines."""

import secrets
import time
from pathlib import Path

import zmq
from msgspec.structs import replace
from tests.support import machines, steps
from tests.support.frames import frame

from onlooker.config.schema import Config, Pipeline, SourceConfig
from onlooker.record import curve_keys
from onlooker.record.curve_keys import KeyPair
from onlooker.stream import gateway_messages, messages, run_directory
from onlooker.stream.feeds import Feed
from onlooker.stream.gateway import Gateway
from onlooker.stream.gateway_messages import Join
from onlooker.stream.gateway_process import bind
from onlooker.stream.run_directory import Plan
from onlooker.stream.stage import row
from onlooker.types import TextQuad

WAIT_SECONDS = 60.0
LENT = messages.pack_frame(frame("door", 4))
QUAD = TextQuad(quad=((0.0, 0.0), (9.0, 0.0), (9.0, 9.0), (0.0, 9.0)), score=0.9)
FOUND = messages.pack_frame(replace(frame("door", 4), quads=(QUAD,)))
PASSWORD = "a-secret"


class Site:
    """A gateway between a hub, whose part the test plays, and machines, whose part it plays too."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        workers = machines.settings(folder, 1)
        config = Config(
            pipeline=Pipeline(heartbeat=0.2),
            workers=workers,
            streams={"door": SourceConfig(url=f"rtsp://user:{PASSWORD}@camera/1")},
        )
        stages = tuple(row(stage, config) for stage in steps.COUNTED)
        plan = Plan(parent=1, hub=f"ipc://{folder}/hub", config=config, stages=stages)
        feed = Feed(stream="door", source=config.streams["door"], number=3)
        run_directory.write_feed(folder, feed)
        self.context = zmq.Context()
        self.hub = self.context.socket(zmq.ROUTER)
        self.hub.bind(plan.hub)
        router = self.context.socket(zmq.ROUTER)
        self.router = router
        keys = curve_keys.read(Path(workers.key or ""))
        self.guard = curve_keys.admit(self.context, router, keys, workers.clients, "workers")
        assert bind(router, "tcp://127.0.0.1:*")
        self.endpoint = router.get_string(zmq.LAST_ENDPOINT)
        self.public = keys.public
        self.gateway = Gateway(folder, plan, router, max_workers=1100)
        self.now = 0.0
        self.sockets: list[zmq.Socket[bytes]] = []

    def machine(self, keys: KeyPair | None = None) -> "zmq.Socket[bytes]":
        """Return a machine's socket; without keys it has those that are admitted."""
        made = self.context.socket(zmq.DEALER)
        made.linger = 0
        own = keys or curve_keys.read(self.folder / "machine-0.key")
        curve_keys.present(made, own, self.public)
        made.connect(self.endpoint)
        self.sockets.append(made)
        return made

    def receive(self, peer: "zmq.Socket[bytes]", seconds: float = WAIT_SECONDS) -> list[bytes]:
        """Return the next message to a machine, or to the hub; nothing if none comes."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.gateway.step(0.01, self.now)
            if peer.poll(0):
                return peer.recv_multipart()
        return []

    def join(self, peer: "zmq.Socket[bytes]", version: str | None = None) -> object:
        """Have a machine join; return the answer."""
        found = version or gateway_messages_version()
        peer.send(gateway_messages.pack(Join(found, "box/1", secrets.token_hex(4))))
        [answer] = self.receive(peer)
        return gateway_messages.unpack_from_gateway(answer)

    def close(self) -> None:
        self.gateway.close()
        for each in [*self.sockets, self.hub, self.router]:
            each.close(linger=0)
        self.guard.stop()
        self.context.term()


def gateway_messages_version() -> str:
    from onlooker.stream.equal_results import program_version

    return program_version()


def ready(
    site: Site, peer: "zmq.Socket[bytes]", worker: bytes = b"detect-0.1"
) -> tuple[bytes, object]:
    """Register a worker for detect; return its name in the hub, and the message there."""
    peer.send_multipart([worker, *messages.pack(messages.Ready("detect"))])
    name, *parts = site.receive(site.hub)
    return name, messages.unpack_to_hub(parts)[0]


def lend(site: Site, peer: "zmq.Socket[bytes]", name: bytes, lease: int) -> None:
    """Lend the frame LENT to a worker."""
    job = messages.Job(lease, None, None, None)
    site.hub.send_multipart([name, *messages.pack(job, LENT)])
    while site.receive(peer)[-1] != LENT:
        pass  # settings come first
