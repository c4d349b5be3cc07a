"""Faults made in a log from outside."""

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from onlooker.record.log import integrity
from onlooker.record.log.reader import Log
from onlooker.record.log.writer import Writer
from onlooker.rekognition.shapes import StreamRecord

Records = Callable[..., list[StreamRecord]]


@pytest.mark.parametrize(
    ("statement", "faults"),
    [
        ("UPDATE records SET body = '{' WHERE position = 2", ["record 2 is not what was written"]),
        ("UPDATE records SET crc = 0 WHERE position IN (1, 6)",
         ["record 1 is not what was written", "record 6 is not what was written"]),
        ("UPDATE records SET identity = x'00' WHERE position = 3",
         ["record 3 has another's RecordId"]),
        ("DELETE FROM records WHERE position = 2", ["stream a: its Sequence has gaps"]),
        ("DELETE FROM records WHERE position = 6", ["stream b: its Sequence has gaps"]),
        ("DELETE FROM records WHERE position <= 2", []),
    ],
)  # fmt: skip
def test_each_fault_is_named(
    tmp_path: Path,
    records: Records,
    statement: str,
    faults: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(integrity, "PAGE_RECORDS", 2)
    path = tmp_path / "r.db"
    with Writer(path) as writer:
        writer.append([*records(3, "a"), *records(3, "b")])
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute(statement)
        database.commit()
    with Log(path) as log:
        assert log.check() == faults
