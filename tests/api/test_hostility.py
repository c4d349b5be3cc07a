"""The proofs, in their short form."""

from collections.abc import Iterator

import pytest
from tests.proofs import broken_pictures, hostile_clients
from tests.support.server import Running, running


@pytest.fixture(scope="module")
def beaten(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("beaten")) as one:
        yield one


def test_broken_pictures_break_nothing(beaten: Running) -> None:
    seen = broken_pictures.prove(beaten, 300, seed=1)
    assert set(seen.results) <= broken_pictures.EXPECTED
    assert sum(seen.results.values()) == 300
    assert len(seen.results) == 4
    assert seen.replaced == 0


@pytest.mark.parametrize("attack", ["slowloris", "lies", "flood"])
def test_hostile_clients_do_not_stop_an_ordinary_one(beaten: Running, attack: str) -> None:
    seen = hostile_clients.watch(beaten, getattr(hostile_clients, attack), 3, 60)
    assert min(seen.took.p99.values()) > 0
    assert seen.memory < hostile_clients.MEMORY
    assert not set(seen.results) & {"InternalServerError", "given up"}
    if attack == "flood":
        assert seen.results["answered"] >= 60
        allowed = {*hostile_clients.RETRYABLE, "answered", "connection"}
        assert set(seen.results) <= allowed
    assert beaten.post("ListCollections", {}).status == 200
