"""The proofs, in their short form."""

from collections.abc import Iterator

import pytest
from tests.proofs import broken_pictures, hostile_clients
from tests.support.server import Running, running


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("attacked")) as one:
        yield one


def test_broken_images_break_nothing(attacked: Running) -> None:
    seen = broken_pictures.prove(attacked, 300, seed=1)
    assert set(seen.results) <= broken_pictures.EXPECTED
    assert sum(seen.results.values()) == 300
    assert len(seen.results) == 4
    assert seen.replaced == 0


@pytest.mark.parametrize("attack", ["slowloris", "lies", "flood"])
def test_hostile_clients_do_not_stop_an_ordinary_one(attacked: Running, attack: str) -> None:
    seen = hostile_clients.watch(attacked, getattr(hostile_clients, attack), 3, 60)
    # Both operations were answered all the while, well before requests time out.
    assert set(seen.took.p99) == {"ListCollections", "DetectFaces"}
    assert max(seen.took.p99.values()) < 20, seen.took
    assert seen.memory < hostile_clients.MEMORY
    assert not set(seen.results) & {"InternalServerError", "given up"}
    if attack == "flood":
        assert seen.results["answered"] >= 60
        allowed = {*hostile_clients.RETRYABLE, "answered", "connection"}
        assert set(seen.results) <= allowed
    assert attacked.post("ListCollections", {}).status == 200
