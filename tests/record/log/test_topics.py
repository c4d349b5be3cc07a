"""Records of a log by topic: which are in it, from where on, and what old logs have."""

import contextlib
import itertools
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onlooker.config.schema import Retention
from onlooker.record.log import schema, topics
from onlooker.record.log.topics import TopicLog
from onlooker.record.log.writer import Writer
from onlooker.rekognition.shapes import StreamRecord

Records = Callable[..., list[StreamRecord]]


def written_at(log: Writer, records: list[StreamRecord], now: float, **named: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time", lambda: now)
        topic = {record.RecordId: named["topic"] for record in records} if named else {}
        log.append(records, topic_names=topic)


@pytest.fixture
def path(tmp_path: Path, records: Records) -> Path:
    """A log of two cameras; the second one's later records are in a topic that has a name."""
    place = tmp_path / "records.db"
    door, yard = records(6, "door", faces=0), records(6, "yard", faces=0)
    with Writer(place) as log:
        written_at(log, door[:3], 100.0)
        written_at(log, yard[:3], 110.0)
        written_at(log, yard[3:], 120.0, topic="results")
        written_at(log, door[3:], 130.0)
    return place


def test_a_record_is_in_one_topic(path: Path) -> None:
    with TopicLog(path) as log:
        assert log.topics() == {"door": 100.0, "results": 120.0, "yard": 110.0}
        found = {name: list(log.records_of(log.number_of(name), 0, 100)) for name in log.topics()}
        assert [each.position for each in found["door"]] == [1, 2, 3, 10, 11, 12]
        assert [each.position for each in found["yard"]] == [4, 5, 6]
        assert [each.position for each in found["results"]] == [7, 8, 9]
        assert {each.stream for each in found["results"]} == {"yard"}
        bodies = {entry.position: entry.body for entry in log.after(0)}
        for each in itertools.chain(*found.values()):
            assert each.body == bodies.pop(each.position)
        assert bodies == {}
        assert log.number_of("cellar") == -1
        assert list(log.records_of(-1, 0, 100)) == []


def test_a_topic_is_read_from_a_position_and_from_a_time(path: Path) -> None:
    with TopicLog(path) as log:
        door = log.number_of("door")
        assert [each.position for each in log.records_of(door, 2, 2)] == [3, 10]
        assert log.newest_in(door) == 12
        assert log.before_time(door, 0.0) == 0
        assert log.before_time(door, 100.0) == 0
        assert log.before_time(door, 100.5) == 3
        assert log.before_time(door, 130.0) == 3
        assert log.before_time(door, 131.0) == 12
        assert log.written_after(door, 0) == 100.0
        assert log.written_after(door, 3) == 130.0
        assert log.written_after(door, 12) is None
        assert (log.newest_in(-1), log.before_time(-1, 5.0)) == (0, 0)


@given(
    st.lists(st.tuples(st.integers(1, 3), st.integers(0, 5)), max_size=40),
    st.floats(-1, 250, allow_nan=False),
)
def test_a_time_is_found_as_by_reading_all(steps: list[tuple[int, int]], moment: float) -> None:
    """Topics take turns, and times rise by any step, 0 among them."""
    database = sqlite3.connect(":memory:")
    schema.create(database)
    now = 0
    found: dict[int, list[tuple[float, int]]] = {1: [], 2: [], 3: []}
    database.execute("INSERT INTO streams VALUES (1, 'a', 0)")
    for position, (topic, step) in enumerate(steps, 1):
        now += step
        database.execute(
            "INSERT INTO records VALUES (?, 1, ?, ?, ?, 0, x'', 0)",
            (position, position, str(position), now),
        )
        topics.save(database, topic, position)
        found[topic].append((now, position))
    log = TopicLog.__new__(TopicLog)
    log._database, log._format, log.path = database, schema.FORMAT, Path("memory")
    for topic, entries in found.items():
        before = log.before_time(topic, moment)
        assert [p for _, p in entries if p > before] == [p for t, p in entries if t >= moment]
    database.close()


def test_records_that_are_removed_leave_their_topics(path: Path) -> None:
    with Writer(path, Retention(max_age_days=1)) as log:
        log.sweep()
    with TopicLog(path) as log:
        # The newest record of each stream stays.
        assert [each.position for each in log.records_of(log.number_of("door"), 0, 9)] == [12]
        assert [each.position for each in log.records_of(log.number_of("results"), 0, 9)] == [9]
        assert list(log.records_of(log.number_of("yard"), 0, 9)) == []
        assert log.topics().keys() == {"door", "results", "yard"}
    with contextlib.closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT count(*) FROM published").fetchall() == [(2,)]


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_log_of_an_earlier_format_gets_a_topic_for_each_stream(
    tmp_path: Path, number: int
) -> None:
    path = tmp_path / "records.db"
    with contextlib.closing(sqlite3.connect(path)) as database:
        text = (Path(__file__).parent / "formats" / f"{number}.sql").read_text()
        database.executescript(text)
        database.execute("PRAGMA journal_mode = WAL")
    with TopicLog(path) as log:
        assert not log.current
        assert log.topics() == {}
        assert (log.number_of("yard"), log.newest_in(1), log.written_after(1, 0)) == (-1, 0, None)
        assert list(log.records_of(1, 0, 9)) == []
    Writer(path).close()
    with TopicLog(path) as log:
        assert log.current
        names = log.topics()
        assert list(names) == ["door", "yard"]
        assert min(names.values()) > 1e9
        assert len(list(log.records_of(log.number_of("yard"), 0, 9))) == 3
        assert len(list(log.records_of(log.number_of("door"), 0, 9))) == 2
