"""The file of a job's results: pages in both orders, and what is left after a kill."""

import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onlooker.jobs.errors import JobError
from onlooker.jobs.result_file import Entry, Order, ResultFile, page


def entry(time: int, person: int = -1, confidence: float = 0.0) -> Entry:
    return Entry(time, b"%d" % time, person, confidence)


def pages(path: Path, order: Order, limit: int) -> list[Entry]:
    """Return all entries, page by page."""
    found: list[Entry] = []
    last: int | None = 0
    while last is not None:
        entries, last = page(path, order, last, limit)
        assert 1 <= len(entries) <= limit or not found
        found += entries
    return found


@given(
    people=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 100)), max_size=40),
    limit=st.integers(1, 45),
)
def test_pages_are_the_whole_list_once(
    tmp_path_factory: pytest.TempPathFactory, people: list[tuple[int, int]], limit: int
) -> None:
    path = tmp_path_factory.mktemp("results") / "r.db"
    made = [entry(10 * n, person, float(c)) for n, (person, c) in enumerate(people)]
    with ResultFile(path, "video") as results:
        results.commit(len(made), 0, b"", made, {}, {})
        assert results.complete_all() == len(made)
    assert pages(path, "TIMESTAMP", limit) == made
    by_person = sorted(made, key=lambda each: (each.person, -each.confidence))
    assert pages(path, "INDEX", limit) == by_person


def test_matches_of_a_track_are_those_of_its_end(tmp_path: Path) -> None:
    path = tmp_path / "r.db"
    with ResultFile(path, "video") as results:
        first = [Entry(0, b"a", 0), Entry(0, b"b", 1, matches=b"[own]"), Entry(5, b"c", 2)]
        results.commit(1, 0, b"t", first, {}, {})
        # The third person was the first one, and the second has no match after all.
        results.commit(2, 0, b"u", [Entry(9, b"d", 0)], {0: b"[all]", 1: b""}, {2: 0})
        results.complete_all()
    found, more = page(path, "TIMESTAMP", 0, 10)
    assert more is None
    assert [(each.person, each.matches) for each in found] == [
        (0, b"[all]"),
        (1, None),
        (0, b"[all]"),
        (0, b"[all]"),
    ]


def test_it_continues_where_a_process_was_killed(tmp_path: Path) -> None:
    path = tmp_path / "r.db"
    with ResultFile(path, "video") as results:
        results.commit(3, 1, b"state", [entry(1), entry(2)], {}, {})
        results._database.execute("BEGIN IMMEDIATE")
        results._database.execute("DELETE FROM results")  # never committed
    with ResultFile(path, "video") as results:
        assert (results.done, results.damaged, results.tracks) == (3, 1, b"state")
        assert not results.complete
        assert results.complete_all() == 2
        assert results.complete_all() == 2
    with ResultFile(path, "video") as results:
        assert results.complete
    with ResultFile(path, "another video") as results:
        assert (results.done, results.complete) == (0, False)
        assert results.complete_all() == 0


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(JobError, match="cannot be read"):
        page(tmp_path / "none.db", "TIMESTAMP", 0, 1)
    (tmp_path / "text.db").write_text("no database" * 100)
    with pytest.raises(JobError, match="not a database"):
        ResultFile(tmp_path / "text.db", "v")


def test_a_complete_file_is_alone(tmp_path: Path) -> None:
    with ResultFile(tmp_path / "r.db", "v") as results:
        results.commit(1, 0, b"", [entry(1)], {}, {})
        results.complete_all()
    assert [path.name for path in tmp_path.iterdir()] == ["r.db"]
    [found] = sqlite3.connect(tmp_path / "r.db").execute("PRAGMA integrity_check").fetchone()
    assert found == "ok"
