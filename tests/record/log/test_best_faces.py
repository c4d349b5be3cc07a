"""Images of best faces in a log: what changes them, and what they go with."""

import time
from pathlib import Path

import pytest
from tests.support.appearances import VISIT, event, record

from onlooker.config.schema import Retention
from onlooker.record.log import retention
from onlooker.record.log.reader import Log
from onlooker.record.log.writer import Writer
from onlooker.rekognition.shapes import StreamRecord
from onlooker.types import Chip

A, B = VISIT.format(0), VISIT.format(1)


def append(log: Writer, made: StreamRecord, *chips: Chip) -> None:
    log.append([made], chips={made.RecordId: chips})


def test_the_newest_image_of_each(log: Writer) -> None:
    append(log, record(0), Chip(track=A, jpeg=b"a0"), Chip(track=B, jpeg=b"b0"))
    append(log, record(1), Chip(track=A, jpeg=b"a1"))
    assert [log.best_face(each) for each in (A, B)] == [b"a1", b"b0"]
    assert log.best_face(VISIT.format(2)) is None
    with Log(log.path) as reader:
        assert reader.best_face(A) == b"a1"


def test_a_track_that_was_none_and_one_that_continues_another(log: Writer) -> None:
    append(log, record(0), Chip(track=A, jpeg=b"a0"), Chip(track=B, jpeg=b"b0"))
    append(log, record(1), Chip(track=B, heir=A))
    assert [log.best_face(each) for each in (A, B)] == [b"b0", None]
    append(log, record(2), Chip(track=A), Chip(track=B))
    assert [log.best_face(each) for each in (A, B)] == [None, None]


def test_a_record_that_comes_again_changes_nothing(log: Writer) -> None:
    append(log, record(0), Chip(track=A, jpeg=b"a0"))
    append(log, record(1), Chip(track=A, jpeg=b"a1"))
    append(log, record(0), Chip(track=A, jpeg=b"a0"))
    assert log.best_face(A) == b"a1"


def test_an_image_goes_with_its_visit(log: Writer) -> None:
    append(log, record(0, event(0, "new", 1, 2)), Chip(track=A, jpeg=b"a"))
    append(log, record(1, event(1, "new", 1, 2)), Chip(track=B, jpeg=b"b"))
    append(log, record(2, event(1, "end", 1, 2)))
    append(log, record(3))
    with log._transaction():
        retention.remove_oldest(log._database, time.time() + 1)
    assert [log.best_face(each) for each in (A, B)] == [None, None]
    [(left,)] = log._rows("SELECT count(*) FROM best_faces")
    assert left == 0


def test_a_visit_that_goes_on_keeps_it(log: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH", 1)
    append(log, record(0, event(0, "new", 1, 2)), Chip(track=A, jpeg=b"a"))
    append(log, record(1, event(0, "update", 1, 2)))
    append(log, record(2))
    with log._transaction():
        assert retention.remove_oldest(log._database) == 1
    assert log.best_face(A) == b"a"


def test_a_retention_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = Retention(best_faces_max_age_days=1)
    now = time.time()
    with Writer(tmp_path / "records.db", limits) as log:
        for index, (age, track) in enumerate([(1.5, A), (0.5, B)]):
            monkeypatch.setattr(time, "time", lambda age=age: now - age * 86400)
            append(log, record(index, event(index, "new", 1, 2)), Chip(track=track, jpeg=b"x"))
        monkeypatch.setattr(time, "time", lambda: now)
        log.sweep()
        assert [log.best_face(each) for each in (A, B)] == [None, b"x"]
        assert len(log) == 2
