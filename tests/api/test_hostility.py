"""The proofs, in their short form."""

from collections.abc import Iterator

import pytest
from tests.proofs import broken_images, hostile_clients
from tests.support.server import Running, running

FLOOD = 30
"""Clients that send images at once: more than the server's thread and places in its queue."""


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("attacked"), "serve.threads = 1\n") as one:
        yield one


def test_broken_images_break_nothing(attacked: Running) -> None:
    outcome = broken_images.prove(attacked, 200, seed=1)
    assert set(outcome.results) <= broken_images.EXPECTED
    assert sum(outcome.results.values()) == 200
    assert len(outcome.results) == 4
    assert outcome.replaced == 0


@pytest.mark.parametrize(
    ("attack", "clients"), [("slowloris", 60), ("lies", 60), ("heads", 60), ("flood", FLOOD)]
)
def test_hostile_clients_do_not_stop_an_ordinary_one(
    attacked: Running, attack: str, clients: int
) -> None:
    outcome = hostile_clients.watch(attacked, getattr(hostile_clients, attack), 3, clients)
    # Both operations were answered all the while, well before requests time out.
    assert set(outcome.took.p99) == {"ListCollections", "DetectFaces"}
    assert max(outcome.took.p99.values()) < 20, outcome.took
    assert outcome.memory < hostile_clients.MAX_MEMORY_BYTES
    assert not set(outcome.results) & hostile_clients.FAULTS
    if attack == "heads":
        assert {"200", "400", "413"} <= set(outcome.results)
    if attack == "flood":
        assert outcome.results["answered"] >= FLOOD
        allowed = {*hostile_clients.RETRYABLE, "answered", "connection"}
        assert set(outcome.results) <= allowed
        assert set(outcome.results) & hostile_clients.RETRYABLE
    assert attacked.post("ListCollections", {}).status == 200
