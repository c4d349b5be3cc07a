"""Logs of every format that there ever was."""

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from onlooker.record.log import schema
from onlooker.record.log.reader import Log, LogError
from onlooker.record.log.visit_table import VisitQuery
from onlooker.record.log.writer import Writer
from onlooker.rekognition.shapes import Appearance, StreamRecord

Records = Callable[..., list[StreamRecord]]

FORMATS = sorted((Path(__file__).parent / "formats").glob("*.sql"))
"""Logs as earlier versions left them: three records of "yard", then two of "door"."""


@pytest.fixture(params=FORMATS, ids=lambda path: path.stem)
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "records.db"
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.executescript(request.param.read_text())
        database.execute("PRAGMA journal_mode = WAL")
    return path


def tables(path: Path) -> list[tuple[str, str]]:
    with contextlib.closing(sqlite3.connect(path)) as database:
        found = database.execute("SELECT name, sql FROM sqlite_schema ORDER BY name").fetchall()
        return [*found, *database.execute("PRAGMA user_version").fetchall()]


def test_there_is_one_of_every_earlier_format() -> None:
    assert [int(path.stem) for path in FORMATS] == list(range(1, schema.FORMAT))


def test_an_old_log_can_be_read(old: Path) -> None:
    with Log(old) as log:
        assert log.check() == []
        assert log.state("door", "track") is None
        assert log.visits(Appearance, VisitQuery()) == []
        assert [record.Sequence for record in log.query(text="köln")] == [1, 2, 3]
        assert [record.stream for record in log.query(person="ada")] == ["door", "door"]
        assert [record.stream for record in log.query(start=0.03)] == ["yard", "yard", "door"]


def test_a_writer_brings_it_up_to_date(old: Path, tmp_path: Path, records: Records) -> None:
    with Log(old) as log:
        before = list(log.read())
    with Writer(old) as log:
        assert list(log.read()) == before
        assert log.append([*before, *records(4, "yard", faces=0)[3:]]) == 1
        assert log.check() == []
    Writer(old).close()
    Writer(tmp_path / "new.db").close()
    assert tables(old) == tables(tmp_path / "new.db")
    with Log(old) as log, Log(tmp_path / "new.db") as new:
        ids = [each.ask(schema.id_of) for each in (log, new)]
    assert [len(each) for each in ids] == [16, 16]
    assert ids[0] != ids[1]


def test_a_newer_one_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "records.db"
    Writer(path).close()
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute(f"PRAGMA user_version = {schema.FORMAT + 1}")
    for kind in (Log, Writer):
        with pytest.raises(LogError, match="made by a newer Onlooker"):
            kind(path)
