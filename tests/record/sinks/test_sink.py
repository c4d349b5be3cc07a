"""What drives a sink, with one that only keeps what it is given."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from onlooker.record.log.reader import Entry, Log, LogFull
from onlooker.record.log.writer import Writer
from onlooker.record.sinks.json_lines import JsonLines
from onlooker.record.sinks.publish import Publisher
from onlooker.record.sinks.sink import Cursor, Follower, Sink
from onlooker.rekognition.shapes import StreamRecord, encode

Records = Callable[..., list[StreamRecord]]


class Kept:
    """A sink with room for `room` records."""

    def __init__(self, room: int = 10**6) -> None:
        self.position = 0
        self.room = room
        self.bodies: list[bytes] = []

    def write(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            if len(self.bodies) >= self.room:
                raise LogFull("no room")
            self.bodies.append(entry.body)
            self.position = entry.position

    def close(self) -> None:
        """Nothing is held."""


def test_it_is_given_every_record_in_order(log: Writer, records: Records) -> None:
    made, sink = records(10), Kept()
    follower = Follower(log, sink, batch=4)
    log.append(made)
    assert [follower.step() for _ in range(5)] == [4, 4, 2, 0, 0]
    log.append([*made, *records(3, "b")])
    follower.catch_up()
    assert sink.bodies == [encode(record) for record in log.read()]


def test_one_that_fails_goes_on_where_it_was(log: Writer, records: Records) -> None:
    log.append(records(10))
    sink = Kept(room=3)
    follower = Follower(log, sink)
    for _ in range(2):
        with pytest.raises(LogFull):
            follower.catch_up()
    sink.room = 99
    follower.catch_up()
    assert sink.bodies == [encode(record) for record in records(10)]


def test_an_unchanged_log_is_not_read(
    log: Writer, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither by a sink of the writer, nor by one in another process."""
    reads = 0
    after = Log.after

    def counted(self: Log, position: int, limit: int) -> list[Entry]:
        nonlocal reads
        reads += 1
        return after(self, position, limit)

    monkeypatch.setattr(Log, "after", counted)
    with Log(log.path) as other:
        sinks = Kept(), Kept()
        followers = Follower(log, sinks[0]), Follower(other, sinks[1])
        for number in (3, 5):
            log.append(records(number))
            reads = 0
            for follower in followers:
                follower.catch_up()
            assert reads == 4
            for follower in followers:
                assert [follower.step() for _ in range(50)] == [0] * 50
            assert reads == 4
    assert sinks[0].bodies == sinks[1].bodies == [encode(record) for record in records(5)]


def test_files_and_publishers_are_sinks(log: Writer, tmp_path: Path, records: Records) -> None:
    log.append(records(2))
    with (
        JsonLines(tmp_path / "r.jsonl", log) as lines,
        Publisher(log, f"ipc://{tmp_path}/records", 0) as publisher,
    ):
        sinks: list[Sink] = [lines, publisher]
        for sink in sinks:
            Follower(log, sink).catch_up()
            assert sink.position == 2


def test_a_cursor_survives_its_process(tmp_path: Path) -> None:
    path = tmp_path / "published-0"
    with Cursor(path) as cursor:
        assert cursor.read() == 0
        cursor.write(2**40)
    with Cursor(path) as cursor:
        assert cursor.read() == 2**40
