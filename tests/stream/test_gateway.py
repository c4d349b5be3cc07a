"""The gateway: whom it admits, and what it passes on."""

import socket
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import zmq
from msgspec.structs import replace
from tests.support.frames import frame
from tests.support.gateway_site import (
    LENT,
    PASSWORD,
    WAIT_SECONDS,
    Site,
    gateway_messages_version,
    ready,
)
from tests.support.processes import wait_until

from onlooker.config.serving import Workers
from onlooker.record import curve_keys
from onlooker.record.curve_keys import KeyPair
from onlooker.stream import gateway, gateway_messages, messages
from onlooker.stream.gateway_messages import Join, JoinAgain, Leave, Ping, Refused, Took, Welcome
from onlooker.stream.gateway_process import GatewayError, bind, check
from onlooker.stream.messages import Slot
from onlooker.stream.ring import Ring


def test_a_job_arrives_with_its_pixels_and_settings_and_its_answer_comes_back(site: Site) -> None:
    peer = site.machine()
    assert isinstance(site.join(peer), Welcome)
    name, message = ready(site, peer)
    assert message == messages.Ready("detect", remote=True)
    assert name.startswith(b"box-1/detect-0.1.")
    with Ring.create(site.folder / "a.ring", 2, Ring.slot_bytes_for(4, 2)) as ring:
        y = np.arange(8, dtype=np.uint8).reshape(2, 4)
        u, v = np.full((1, 2), 7, np.uint8), np.full((1, 2), 9, np.uint8)
        slot = Slot(str(ring.path), 0, ring.write(0, y, u, v))
        data = messages.pack_frame(replace(frame("door", 0), feed=3))
        site.hub.send_multipart([name, *messages.pack(messages.Job(5, slot, None, None), data)])
        [first] = site.receive(peer)
        settings = gateway_messages.unpack_from_gateway(first)
        assert isinstance(settings, gateway_messages.Settings)
        assert (settings.feed, settings.stream) == (3, "door")
        assert PASSWORD.encode() not in first
        worker, job, same, size = site.receive(peer)
        assert (worker, same) == (b"detect-0.1", data)
        assert isinstance(messages.unpack_from_hub([job, same])[0], messages.Job)
        name_of_piece, piece = site.receive(peer)
        assert name_of_piece == gateway_messages.PIECE
        image = gateway_messages.ArrivingImage(size)
        image.add(piece)
        assert np.array_equal(image.planes.y, y)
        result = messages.Result(5, None, 0.1, 0.1, 0.1)
        peer.send_multipart([b"detect-0.1", *messages.pack(result, data)])
        sender, *parts = site.receive(site.hub)
        assert (sender, messages.unpack_to_hub(parts)) == (name, (result, data))
        # A frame whose pixels have gone is answered here.
        ring.write(0, y, u, v)
        site.hub.send_multipart([name, *messages.pack(messages.Job(6, slot, None, None), data)])
        _, *parts = site.receive(site.hub)
        answer, _ = messages.unpack_to_hub(parts)
        assert isinstance(answer, messages.Result)
        assert "FrameGone" in str(answer.failed)


def test_no_more_is_on_its_way_than_a_slow_network_bears(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits in sockets is sent again if the machine is given up, and delays what is said."""
    monkeypatch.setattr(gateway, "MAX_UNTAKEN_BYTES", 20)
    peer = site.machine()
    site.join(peer)
    name, _ = ready(site, peer)
    with Ring.create(site.folder / "a.ring", 2, Ring.slot_bytes_for(4, 2)) as ring:
        planes = np.zeros((2, 4), np.uint8), np.zeros((1, 2), np.uint8), np.zeros((1, 2), np.uint8)
        slot = Slot(str(ring.path), 0, ring.write(0, *planes))
        for lease in range(4):  # of 12 bytes each
            job = messages.pack(messages.Job(lease, slot, None, None), LENT)
            site.hub.send_multipart([name, *job])

        def leases() -> list[int]:
            found = []
            while parts := site.receive(peer, 0.3):
                if len(parts) == 4:
                    job, _ = messages.unpack_from_hub(parts[1:3])
                    assert isinstance(job, messages.Job)
                    found.append(job.lease)
            return found

        assert leases() == [0, 1]
        peer.send(gateway_messages.pack(Took()))
        assert leases() == [2]
        # What a worker that has registered again had is not sent any more.
        ready(site, peer)
        peer.send(gateway_messages.pack(Took()))
        peer.send(gateway_messages.pack(Took()))
        assert leases() == []
        for _ in range(9):
            peer.send(gateway_messages.pack(Took()))  # more than it was sent
        site.hub.send_multipart([name, *messages.pack(messages.Job(9, slot, None, None), LENT)])
        assert leases() == [9]


def test_a_machine_without_an_admitted_key_gets_nothing(site: Site) -> None:
    join = gateway_messages.pack(Join(gateway_messages_version(), "box", "s"))
    public, secret = (half.decode() for half in zmq.curve_keypair())
    unknown = site.machine(KeyPair(public, secret))
    plain = site.context.socket(zmq.DEALER)
    plain.linger = 0
    plain.connect(site.endpoint)
    site.sockets.append(plain)
    for each in (unknown, plain):
        with suppress(zmq.Again):  # its connection may have been ended by now
            each.send(join, zmq.NOBLOCK)
    host, _, port = site.endpoint.removeprefix("tcp://").rpartition(":")
    with socket.create_connection((host, int(port))) as raw:
        raw.settimeout(0.1)
        for _ in range(200):
            try:
                raw.sendall(b"\xff" * 65536)
            except OSError:
                break  # it has been disconnected
        else:
            pytest.fail("the gateway takes any amount of bytes")
    assert site.receive(unknown, 1.0) == []
    assert site.receive(plain, 0.2) == []
    assert site.gateway.machines == {}
    assert isinstance(site.join(site.machine()), Welcome)  # the others are served


def test_a_machine_with_another_release_is_told_which_to_install(site: Site) -> None:
    answer = site.join(site.machine(), "0.0.1")
    assert isinstance(answer, Refused)
    assert f"install onlooker {gateway_messages_version()} here" in answer.error
    assert site.gateway.machines == {}


def test_the_welcome_has_no_secret(site: Site) -> None:
    welcome = site.join(site.machine())
    assert isinstance(welcome, Welcome)
    assert [stage.name for stage in welcome.stages] == ["detect", "recognise"]
    said = gateway_messages.pack(welcome)
    assert PASSWORD.encode() not in said
    assert str(site.folder).encode() not in said


@pytest.mark.parametrize(
    "message",
    [
        messages.Ready("record"),
        messages.Broken("stop"),
        messages.Forget("door", 9),
        messages.StatusRequest(),
        messages.Register(),
        messages.Died("record-0.1"),
        messages.Result(1, None, 0.0, 0.0, 0.0),
    ],
    ids=lambda message: type(message).__name__,
)
def test_what_no_worker_of_another_machine_may_say_does_not_reach_the_hub(
    site: Site, message: messages.Message
) -> None:
    peer = site.machine()
    site.join(peer)
    peer.send_multipart([b"record-0.1", *messages.pack(message)])
    name, first = ready(site, peer)
    assert first == messages.Ready("detect", remote=True)
    peer.send_multipart([b"detect-0.1", *messages.pack(messages.Heartbeat("hub"))])
    _, *parts = site.receive(site.hub)
    assert messages.unpack_to_hub(parts)[0] == messages.Heartbeat(name.decode())


def registered(site: Site) -> int:
    site.gateway.step(0.01, site.now)
    return sum(len(machine.workers) for machine in site.gateway.machines.values())


def test_more_workers_than_zeromq_has_room_for_by_itself_join_and_one_too_many_is_told(
    site: Site,
) -> None:
    """ZeroMQ's own limit is 1023 sockets; the site's gateway takes 1100 workers."""
    peer, other = site.machine(), site.machine()
    site.join(peer)
    site.join(other)
    ready_message = messages.pack(messages.Ready("detect"))
    for number in range(1100):
        peer.send_multipart([f"detect-{number}.1".encode(), *ready_message])
        if number % 100 == 99:
            assert wait_until(lambda: registered(site) == number + 1, WAIT_SECONDS)  # noqa: B023
    other.send_multipart([b"detect-0.1", *ready_message])
    refused = gateway_messages.unpack_from_gateway(site.receive(other)[0])
    assert isinstance(refused, Refused)
    assert "the hub takes 1100 workers of other machines" in refused.error
    assert len(site.gateway.machines) == 1


def test_too_large_a_message_disconnects_its_machine_only(site: Site) -> None:
    peer, other = site.machine(), site.machine()
    site.join(peer)
    peer.send_multipart([b"x", b"", b"\0" * (gateway_messages.MAX_REQUEST_BYTES + 1)])
    site.join(other)
    ready(site, other)


def test_a_second_join_of_a_connection_takes_the_place_of_the_first(site: Site) -> None:
    peer = site.machine()
    first = site.join(peer)
    name, _ = ready(site, peer)
    assert site.join(peer) == first
    assert len(site.gateway.machines) == 1
    _, *parts = site.receive(site.hub)
    assert messages.unpack_to_hub(parts)[0] == messages.Died(name.decode(), False)
    assert ready(site, peer)[0] != name


def test_each_run_has_a_welcome_of_its_own(site: Site, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = Site(tmp_path / "other")
    try:
        one, two = site.join(site.machine()), other.join(other.machine())
    finally:
        other.close()
    assert isinstance(one, Welcome)
    assert isinstance(two, Welcome)
    assert one.run != two.run


@pytest.mark.parametrize("name", [b"\xff" * 64, "\N{GRINNING FACE}".encode() * 16, b"a/b", b"a b"])
def test_a_name_that_no_worker_has_makes_none(site: Site, name: bytes) -> None:
    peer = site.machine()
    site.join(peer)
    peer.send_multipart([name, *messages.pack(messages.Ready("detect"))])
    assert site.receive(site.hub, 0.5) == []


def test_a_silent_machine_is_given_up_and_joins_again(site: Site) -> None:
    peer = site.machine()
    site.join(peer)
    name, _ = ready(site, peer)
    site.now = 0.5
    peer.send(gateway_messages.pack(Ping()))
    assert gateway_messages.unpack_from_gateway(site.receive(peer)[0]) == Ping()
    site.now = 1.0
    site.gateway.tick(site.now)
    assert site.receive(site.hub, 0.1) == []
    site.now = 1.2
    site.gateway.tick(site.now)
    sender, *parts = site.receive(site.hub)
    assert sender == name
    died = messages.Died(name.decode(), counted=False)
    assert messages.unpack_to_hub(parts)[0] == died
    peer.send_multipart([b"detect-0.1", *messages.pack(messages.Ready("detect"))])
    assert gateway_messages.unpack_from_gateway(site.receive(peer)[0]) == JoinAgain()
    site.join(peer)
    again, _ = ready(site, peer)
    assert again != name


def test_a_worker_that_died_counts_and_one_whose_machine_leaves_does_not(site: Site) -> None:
    peer = site.machine()
    site.join(peer)
    name, _ = ready(site, peer)
    peer.send_multipart([b"detect-0.1", *messages.pack(messages.Died("any"))])
    _, *parts = site.receive(site.hub)
    assert messages.unpack_to_hub(parts)[0] == messages.Died(name.decode(), counted=True)
    name, _ = ready(site, peer, b"detect-0.2")
    peer.send(gateway_messages.pack(Leave()))
    _, *parts = site.receive(site.hub)
    assert messages.unpack_to_hub(parts)[0] == messages.Died(name.decode(), counted=False)


def test_a_section_that_cannot_be_used_says_why(tmp_path: Path) -> None:
    check(Workers())
    missing = Workers(listen="tcp://127.0.0.1:5570", key=str(tmp_path / "hub.key"))
    with pytest.raises(GatewayError, match="onlooker keys generate"):
        check(missing)
    curve_keys.generate(tmp_path / "hub.key")
    check(missing)
    with pytest.raises(GatewayError, match="'abc' is no public key"):
        check(replace(missing, clients=("abc",)))


def test_an_address_that_is_taken_is_waited_for_and_a_wrong_one_refused() -> None:
    with zmq.Context() as context, context.socket(zmq.ROUTER) as first:
        assert bind(first, "tcp://127.0.0.1:*")
        with context.socket(zmq.ROUTER) as second:
            assert not bind(second, first.get_string(zmq.LAST_ENDPOINT))
            with pytest.raises(GatewayError, match="name an address of this machine"):
                bind(second, "tcp://203.0.113.5:5570")
