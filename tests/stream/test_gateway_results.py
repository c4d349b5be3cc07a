"""The gateway: which results of machines count."""

import pytest
from msgspec.structs import replace
from tests.support.frames import frame
from tests.support.gateway_site import FOUND, LENT, Site, lend, ready

from onlooker.stream import gateway_messages, messages, remote_result
from onlooker.stream.gateway_messages import Refused


@pytest.mark.parametrize(
    ("lease", "answer"),
    [
        (6, FOUND),
        (5, messages.pack_frame(frame("door", 5))),
        (5, messages.pack_frame(frame("gate", 4))),
        (5, messages.pack_frame(replace(frame("door", 4), epoch="of another run"))),
        (5, b"no frame"),
        (5, b""),
    ],
    ids=["lease", "index", "stream", "run", "bytes", "nothing"],
)
def test_an_answer_to_what_a_worker_does_not_have_is_refused_with_its_machine(
    site: Site, caplog: pytest.LogCaptureFixture, lease: int, answer: bytes
) -> None:
    peer, other = site.machine(), site.machine()
    for _ in range(2):  # it is told once in the log
        site.join(peer)
        name, _ = ready(site, peer)
        lend(site, peer, name, 5)
        result = messages.Result(lease, None, 0.0, 0.0, 0.0)
        peer.send_multipart([b"detect-0.1", *messages.pack(result, answer)])
        sender, *parts = site.receive(site.hub)
        died = messages.Died(name.decode(), counted=False)
        assert (sender, messages.unpack_to_hub(parts)[0]) == (name, died)
        refused = gateway_messages.unpack_from_gateway(site.receive(peer)[0])
        assert isinstance(refused, Refused)
        assert "does not work as it should" in refused.error
    assert site.gateway.machines == {}
    assert caplog.text.count("result refused machine=box-1") == 1
    site.join(other)  # the others work
    name, _ = ready(site, other)
    lend(site, other, name, 5)
    result = messages.Result(5, None, 0.0, 0.0, 0.0)
    other.send_multipart([b"detect-0.1", *messages.pack(result, FOUND)])
    _, *parts = site.receive(site.hub)
    assert messages.unpack_to_hub(parts) == (result, FOUND)


def test_a_lease_can_be_answered_once_and_by_its_worker_only(site: Site) -> None:
    peer = site.machine()
    site.join(peer)
    name, _ = ready(site, peer)
    ready(site, peer, b"detect-1.1")
    lend(site, peer, name, 5)
    result = messages.Result(5, "x" * 10_000, 0.0, 0.0, 0.0, known=True, begun=(9, 9))
    peer.send_multipart([b"detect-0.1", *messages.pack(result, FOUND)])
    _, *parts = site.receive(site.hub)
    failed = messages.Result(5, "x" * remote_result.MAX_CAUSE, 0.0, 0.0, 0.0)
    assert messages.unpack_to_hub(parts) == (failed, LENT)
    lend(site, peer, name, 6)
    peer.send_multipart([b"detect-1.1", *messages.pack(replace(result, lease=6), FOUND)])
    assert isinstance(gateway_messages.unpack_from_gateway(site.receive(peer)[0]), Refused)


def test_an_answer_that_crosses_a_registration_is_dropped(site: Site) -> None:
    """The job was on its way when the worker registered again; its frame is lent elsewhere."""
    peer = site.machine()
    site.join(peer)
    name, _ = ready(site, peer)
    lend(site, peer, name, 5)
    ready(site, peer)
    result = messages.Result(5, None, 0.0, 0.0, 0.0)
    peer.send_multipart([b"detect-0.1", *messages.pack(result, FOUND)])
    lend(site, peer, name, 6)
    peer.send_multipart([b"detect-0.1", *messages.pack(replace(result, lease=6), FOUND)])
    _, *parts = site.receive(site.hub)
    assert messages.unpack_to_hub(parts) == (replace(result, lease=6), FOUND)
