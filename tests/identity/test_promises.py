"""Short runs of the proofs in tests/proofs/known_people.py."""

from pathlib import Path

import pytest
from tests.proofs import known_people


def test_what_one_process_adds_another_finds(tmp_path: Path) -> None:
    assert known_people.writes(tmp_path / "faces.db", 150) == 150


def test_kill_9_of_writers_builder_and_searcher(tmp_path: Path) -> None:
    lottery = known_people.Lottery(tmp_path / "faces.db", seed=7)
    lottery.run(8)
    assert lottery.violations() == []
    assert lottery.there


def test_a_disk_that_fills() -> None:
    try:
        with known_people.small_disk(4) as disk:
            assert known_people.full(disk) == []
    except OSError as error:
        pytest.skip(str(error))


def test_one_image_by_many_threads(tmp_path: Path) -> None:
    ids, stored, times = known_people.duplicates(tmp_path / "faces.db", 16, 25)
    assert (ids, stored, times) == (2, 2, 400)


def test_pages_while_others_change(tmp_path: Path) -> None:
    missed, twice, read = known_people.pages(tmp_path / "faces.db", 2000, 100)
    assert (missed, twice) == (0, 0)
    assert read > 50
