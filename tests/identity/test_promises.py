"""Short runs of the proofs in tests/proofs/known_people.py."""

import pytest
from tests.proofs import known_people
from tests.support.accidents import small_disk
from tests.support.stores import Place


def test_what_one_process_adds_another_finds(place: Place) -> None:
    assert known_people.writes(place, 150) == 150


def test_kill_9_of_writers_builder_and_searcher(place: Place) -> None:
    lottery = known_people.Lottery(place, seed=7)
    lottery.run(8)
    assert lottery.violations() == []
    assert lottery.there


def test_a_disk_that_fills() -> None:
    try:
        with small_disk(4) as disk:
            assert known_people.full(disk) == []
    except OSError as error:
        pytest.skip(f"a small disk needs the right to mount: {error}")


def test_one_image_by_many_threads(place: Place) -> None:
    ids, stored, times = known_people.duplicates(place, 16, 25)
    assert (ids, stored, times) == (2, 2, 400)


def test_pages_while_others_change(place: Place) -> None:
    missed, twice, read = known_people.pages(place, 2000, 100)
    assert (missed, twice) == (0, 0)
    assert read > 50
