"""Databases of other programs: where one of ours is expected, they are refused and left alone."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from onlooker.api import usage
from onlooker.errors import OnlookerError
from onlooker.identity.people.journal import Journal
from onlooker.identity.store import Store
from onlooker.jobs.job_database import NAME, JobDatabase
from onlooker.record.log.reader import Log
from onlooker.record.log.writer import Writer
from onlooker.stream.stream_table import StreamTable

OPEN: dict[str, tuple[str, Callable[[Path], object]]] = {
    "store": ("faces.db", Store),
    "people": ("people.db", Journal),
    "log, to write": ("records.db", Writer),
    "log, to read": ("records.db", Log),
    "streams": ("streams.db", StreamTable),
    "jobs": (NAME, lambda path: JobDatabase(path.parent)),
    "usage": (usage.NAME, lambda path: usage.months(path.with_name("faces.db"))),
}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("mode", ["delete", "wal"])
@pytest.mark.parametrize("kind", OPEN)
def test_it_is_refused_and_not_changed(tmp_path: Path, kind: str, mode: str) -> None:
    name, opened = OPEN[kind]
    with closing(sqlite3.connect(tmp_path / name)) as database:
        database.execute(f"PRAGMA journal_mode = {mode}")
        database.executescript("CREATE TABLE songs (title); INSERT INTO songs VALUES ('Ode')")
    before = contents(tmp_path)
    with pytest.raises(OnlookerError, match="not a "):
        opened(tmp_path / name)
    # The lock of the store is held before the file is read; any reader makes the others.
    ours = ".lock", "-shm", "-wal"
    after = {each: held for each, held in contents(tmp_path).items() if not each.endswith(ours)}
    assert after == before
