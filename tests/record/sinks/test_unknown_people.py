"""Appearances of a log become people."""

from pathlib import Path

import numpy as np
import pytest
from tests.support.appearances import VISIT, event, record

from onlooker.identity.errors import StoreError
from onlooker.identity.people.people import open_people
from onlooker.models.card import space
from onlooker.record.log.writer import Writer
from onlooker.record.sinks.sink import Follower
from onlooker.record.sinks.unknown_people import PeopleFollower, UnknownPeople

SPACE = space("mobilefacenet")


def vector(person: int) -> bytes:
    own = np.random.default_rng(person).normal(size=SPACE.dim)
    return np.asarray(own / np.linalg.norm(own), np.float32).tobytes()


def people_of(sink: UnknownPeople) -> list[tuple[str, int]]:
    return sorted((person, number) for person, number, _, _ in sink._people.journal.people())


def test_those_who_are_unknown_join_once_also_in_a_later_process(
    log: Writer, tmp_path: Path
) -> None:
    ids = [VISIT.format(number) for number in range(4)]
    vectors = dict(zip(ids, map(vector, (1, 2, 1, 3)), strict=True))
    log.append(
        [
            record(0, event(0, "new", 1, 2), event(1, "new", 1, 2)),
            record(1, event(0, "end", 1, 4), event(1, "end", 1, 5)),
            record(2, event(3, "end", 6, 9, "anna")),
        ],
        vectors=vectors,
    )
    store = tmp_path / "faces.db"
    with UnknownPeople(log, open_people(SPACE, store)) as sink:
        Follower(log, sink).catch_up()
        assert people_of(sink) == [("unknown-000001", 1), ("unknown-000002", 1)]
    log.append([record(3, event(2, "end", 10, 12))], vectors=vectors)
    with UnknownPeople(log, open_people(SPACE, store)) as sink:
        assert sink.position == 3
        Follower(log, sink).catch_up()
        assert people_of(sink) == [("unknown-000001", 2), ("unknown-000002", 1)]


def test_a_store_that_fails_is_told_once_and_loses_nobody(
    log: Writer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    log.append([record(0, event(0, "end", 1, 4))], vectors={VISIT.format(0): vector(1)})
    with UnknownPeople(log, open_people(SPACE, tmp_path / "faces.db")) as sink:

        def fail(*_: object) -> None:
            raise StoreError("no room")

        with monkeypatch.context() as patch:
            patch.setattr(sink._people, "join", fail)
            follower = PeopleFollower(log, sink)
            for _ in range(3):
                follower.catch_up()
        assert sink.position == 0
        assert [entry.message for entry in caplog.records] == [
            "appearances wait for the store of people error=no room"
        ]
        follower.catch_up()
        assert people_of(sink) == [("unknown-000001", 1)]
