"""The hub of another machine: what it passes on, between its workers and a gateway that the test
plays."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq
from msgspec.structs import replace
from tests.support.frames import frame
from tests.support.line import PLANES
from tests.support.processes import wait_until

from onlooker.config.schema import Config, Pipeline
from onlooker.record import curve_keys
from onlooker.stream import gateway_messages, messages
from onlooker.stream.gateway_messages import Join, JoinAgain, StageSettings, Took, Welcome
from onlooker.stream.remote_hub import RemoteHub

WAIT_SECONDS = 60.0
STAGES = (StageSettings("detect", 2, 1),)
RUN = Welcome(run="one", config=Config(), stages=STAGES, facts={})
OTHER = replace(RUN, run="two")
BRIEF = replace(RUN, config=Config(pipeline=Pipeline(heartbeat=0.2, liveness=3)))
FRAME = messages.pack_frame(frame("door", 0))
RESULT = messages.Result(5, None, 0.0, 0.0, 0.0)


class Site:
    """A machine's hub, with the test as its gateway and its worker."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.context = zmq.Context()
        self.gateway = self.context.socket(zmq.ROUTER)
        keys, own = curve_keys.generate(folder / "hub"), curve_keys.generate(folder / "own")
        self.gateway.curve_server = 1
        self.gateway.curve_secretkey = keys.secret.encode()
        port = self.gateway.bind_to_random_port("tcp://127.0.0.1")
        self.hub = RemoteHub(f"tcp://127.0.0.1:{port}", own, keys.public, "box")
        self.peer = b""
        self.came: list[list[bytes]] = []
        """What has come to the gateway from workers."""
        self.told: list[object] = []
        """What has come to the gateway from the machine itself."""
        self.workers: list[zmq.Socket[bytes]] = []

    def step(self) -> None:
        self.hub.step(0.01)
        while self.gateway.poll(0):
            self.peer, *parts = self.gateway.recv_multipart()
            if len(parts) > 1:
                self.came.append(parts)
            else:
                self.told.append(gateway_messages.unpack_to_gateway(parts[0]))

    def until(self, true: object) -> None:
        def stepped() -> bool:
            self.step()
            return bool(true()) if callable(true) else False

        assert wait_until(stepped, WAIT_SECONDS)

    def idle(self) -> None:
        """Have everything arrive that is on its way."""
        for _ in range(20):
            self.step()

    def tell(self, message: gateway_messages.MachineMessage) -> None:
        self.gateway.send_multipart([self.peer, gateway_messages.pack(message)])

    def welcome(self, run: Welcome) -> None:
        self.until(lambda: self.peer)
        self.tell(run)
        self.until(lambda: self.hub.joined and self.hub.welcome == run)

    def listen(self, run: Welcome, name: str) -> "zmq.Socket[bytes]":
        """Start the hub for the workers of a run; return a worker's socket."""
        place = self.folder / name
        place.mkdir()
        self.hub.listen(run, place, f"ipc://{place}/hub", 4)
        made = self.context.socket(zmq.DEALER)
        made.linger, made.routing_id = 0, b"detect-0.1"
        made.connect(f"ipc://{place}/hub")
        self.workers.append(made)
        return made

    def lend(self, lease: int, seconds: float = 0.0) -> None:
        """Lend a frame, with `seconds` before each of the three pieces of its image."""
        job = messages.pack(messages.Job(lease, None, None, None), FRAME)
        size, pieces = gateway_messages.pack_image(PLANES, 2)
        self.gateway.send_multipart([self.peer, b"detect-0.1", *job, size])
        for piece in pieces:
            time.sleep(seconds)
            self.gateway.send_multipart([self.peer, gateway_messages.PIECE, piece])
            self.step()

    def close(self) -> None:
        self.hub.close()
        for each in [*self.workers, self.gateway]:
            each.close(linger=0)
        self.context.term()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.close()


def said(site: Site) -> list[object]:
    """Return what has come from workers since the last call."""
    came = [messages.unpack_to_hub(parts[1:])[0] for parts in site.came]
    site.came.clear()
    return list(came)


def test_a_worker_gets_its_job_by_a_ring_and_its_answer_goes_up(site: Site) -> None:
    site.welcome(RUN)
    worker = site.listen(RUN, "run")
    worker.send_multipart(messages.pack(messages.Ready("detect")))
    site.until(lambda: site.came)
    assert said(site) == [messages.Ready("detect")]
    site.lend(5)
    site.until(lambda: worker.poll(0))
    job, data = messages.unpack_from_hub(worker.recv_multipart())
    assert isinstance(job, messages.Job)
    assert job.slot is not None
    assert data == FRAME
    worker.send_multipart(messages.pack(RESULT, FRAME))
    site.until(lambda: site.came)
    assert said(site) == [RESULT]
    assert site.told.count(Took()) == 1


def test_an_image_that_takes_longer_than_a_dead_peer_is_silent_arrives(site: Site) -> None:
    site.welcome(BRIEF)
    worker = site.listen(BRIEF, "run")
    worker.send_multipart(messages.pack(messages.Ready("detect")))
    site.until(lambda: site.came)
    joins = sum(isinstance(each, Join) for each in site.told)
    site.lend(5, seconds=0.6 * site.hub.silence)
    site.until(lambda: worker.poll(0))
    assert sum(isinstance(each, Join) for each in site.told) == joins
    assert site.hub.joined


def test_a_worker_that_has_waited_is_not_registered_again_until_the_hub_asks(site: Site) -> None:
    """It would be lent other frames in place of those that are on their way."""
    site.welcome(RUN)
    worker = site.listen(RUN, "run")
    ready = messages.pack(messages.Ready("detect"))
    worker.send_multipart(ready)
    site.until(lambda: site.came)
    said(site)
    worker.send_multipart(ready)
    site.idle()
    assert said(site) == []
    site.lend(5)
    site.until(lambda: worker.poll(0))
    worker.recv_multipart()
    worker.send_multipart(ready)  # the job did not reach it
    site.until(lambda: site.came)
    assert said(site) == [messages.Ready("detect")]
    site.gateway.send_multipart(
        [site.peer, b"detect-0.1", *messages.pack(messages.RegisterAgain(1))]
    )
    site.until(lambda: worker.poll(0))
    worker.send_multipart(ready)
    site.until(lambda: site.came)
    assert said(site) == [messages.Ready("detect")]


def test_pixels_that_were_overwritten_here_are_no_failure_of_the_frame(site: Site) -> None:
    site.welcome(RUN)
    worker = site.listen(RUN, "run")  # with room for four images
    worker.send_multipart(messages.pack(messages.Ready("detect")))
    site.until(lambda: site.came)
    said(site)
    for lease in range(5, 10):
        site.lend(lease)
    site.idle()
    gone = messages.Result(5, "detect: FrameGone: it was overwritten", 0.0, 0.0, 0.0)
    worker.send_multipart(messages.pack(gone, FRAME))
    worker.send_multipart(messages.pack(replace(RESULT, lease=6), FRAME))
    site.until(lambda: site.came)
    site.idle()
    assert said(site) == [messages.Ready("detect")]


def test_workers_of_an_earlier_run_say_nothing_to_the_next(site: Site) -> None:
    """Until they are replaced they would analyse its frames with the settings of the other."""
    site.welcome(RUN)
    old = site.listen(RUN, "old")
    old.send_multipart(messages.pack(messages.Ready("detect")))
    site.until(lambda: site.came)
    site.lend(5)
    site.until(lambda: old.poll(0))
    site.tell(JoinAgain())
    site.until(lambda: not site.hub.joined)
    said(site)
    site.welcome(OTHER)
    old.send_multipart(messages.pack(messages.Ready("detect")))
    old.send_multipart(messages.pack(messages.Heartbeat("detect-0.1")))
    old.send_multipart(messages.pack(RESULT, FRAME))
    site.lend(6)
    site.idle()
    assert said(site) == []
    site.hub.unlisten()
    new = site.listen(OTHER, "new")
    new.send_multipart(messages.pack(messages.Ready("detect")))
    site.until(lambda: site.came)
    assert said(site) == [messages.Ready("detect")]


def test_what_was_lent_before_the_machine_joined_again_is_not_answered(site: Site) -> None:
    site.welcome(RUN)
    worker = site.listen(RUN, "run")
    worker.send_multipart(messages.pack(messages.Ready("detect")))
    site.until(lambda: site.came)
    site.lend(5)
    site.until(lambda: worker.poll(0))
    site.tell(JoinAgain())
    site.until(lambda: not site.hub.joined)
    site.welcome(RUN)
    said(site)
    worker.send_multipart(messages.pack(RESULT, FRAME))
    site.idle()
    assert said(site) == []
    worker.send_multipart(messages.pack(messages.Ready("detect")))
    site.until(lambda: site.came)
    site.lend(6)
    site.until(lambda: worker.poll(0))
    worker.send_multipart(messages.pack(replace(RESULT, lease=6), FRAME))
    site.until(lambda: len(site.came) > 1)
    assert said(site)[-1] == replace(RESULT, lease=6)


def test_it_joins_with_its_name_and_release(site: Site) -> None:
    site.until(lambda: site.hub._upstream is not None and site.peer)
    site.tell(JoinAgain())
    parts: list[bytes] = []

    def joins() -> bool:
        site.hub.step(0.01)
        if site.gateway.poll(0):
            parts[:] = site.gateway.recv_multipart()[1:]
        return bool(parts) and isinstance(gateway_messages.unpack_to_gateway(parts[0]), Join)

    assert wait_until(joins, WAIT_SECONDS)
    join = gateway_messages.unpack_to_gateway(parts[0])
    assert isinstance(join, Join)
    assert join.machine == "box"
