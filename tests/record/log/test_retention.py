"""What a log lets go, and at what cost."""

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.logs import steps

from onlooker.config.schema import Retention
from onlooker.record.log import retention, schema
from onlooker.record.log import writer as writers
from onlooker.record.log.reader import LogFull
from onlooker.record.log.writer import Writer
from onlooker.rekognition.shapes import StreamRecord

Records = Callable[..., list[StreamRecord]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "records.db"


@pytest.fixture
def log(path: Path) -> Iterator[Writer]:
    with Writer(path) as opened:
        yield opened


def large(streams: int, frames: int) -> sqlite3.Connection:
    """A log in memory: `streams` in turn, each with `frames` records, one written each second.

    Every record names one of 100 people, and has a line of text of its own.
    """
    database = sqlite3.connect(":memory:", isolation_level=None)
    schema.create(database)
    database.execute("BEGIN")
    number = 0
    for stream in range(1, streams + 1):
        database.execute("INSERT INTO streams VALUES (?, ?, ?)", (stream, str(stream), frames))
        for sequence in range(1, frames + 1):
            number += 1
            database.execute(
                "INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (number, stream, sequence, str(number), number, 0.0, b"x" * 100, 0),
            )
            for name in (number % 100 + 1, 100 + number):
                database.execute("INSERT INTO seen VALUES (?, ?)", (name, number))
    names = [(number, str(number)) for number in range(1, 101 + streams * frames)]
    database.executemany("INSERT INTO names VALUES (?, 'text', ?)", names)
    database.execute("COMMIT")
    return database


class TestCost:
    """What a batch costs does not depend on how large the log is."""

    def costs(self, frames: int) -> tuple[int, int, int]:
        with contextlib.closing(large(1, frames)) as database:
            return (
                steps(database, lambda: retention.oldest_written(database)),
                steps(database, lambda: retention.remove_oldest(database, 100.5)),
                steps(database, lambda: retention.remove_oldest(database)),
            )

    def test_it_is_that_of_the_oldest_records(self) -> None:
        small, bigger = self.costs(5_000), self.costs(40_000)
        assert small[0] <= 1
        assert small[2] > 100
        for few, many in zip(small, bigger, strict=True):
            assert many <= 1.1 * few + 2

    def test_streams_that_ended_long_ago_are_passed_over(self) -> None:
        with contextlib.closing(large(400, 3)) as database:
            assert retention.remove_oldest(database) == 800
            assert retention.oldest_written(database) is None
            assert retention.remove_oldest(database) == 0


class TestRemoveOldest:
    def test_in_batches_from_the_front(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(retention, "BATCH", 40)
        with contextlib.closing(large(1, 200)) as database:
            assert retention.oldest_written(database) == 1.0
            assert retention.remove_oldest(database, 60.5) == 40
            assert retention.oldest_written(database) == 41.0
            assert retention.remove_oldest(database, 60.5) == 20
            assert retention.remove_oldest(database, 60.5) == 0
            assert retention.oldest_written(database) == 61.0

    def test_names_go_with_their_last_record(self) -> None:
        with contextlib.closing(large(1, 200)) as database:
            retention.remove_oldest(database, 150.5)
            left = {number for (number,) in database.execute("SELECT id FROM names")}
            assert left == {n % 100 + 1 for n in range(151, 201)} | set(range(251, 301))
            [(seen,)] = database.execute("SELECT count(*) FROM seen")
            assert seen == 100


class TestSweep:
    def test_by_size(self, path: Path, records: Records) -> None:
        made = records(6000)
        with Writer(path, Retention(max_megabytes=4)) as log:
            for number in range(0, 6000, 500):
                log.append(made[number : number + 500])
                log.sweep()
            left = list(log.read())
            assert log.check() == []
        assert 500 < len(left) < 4500
        assert left == made[-len(left) :]
        assert path.stat().st_size < 6e6

    def test_where_it_fails_nothing_is_written(
        self, log: Writer, records: Records, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def sweep() -> None:
            raise LogFull("no room")

        monkeypatch.setattr(writers, "SWEEP_SECONDS", -1)
        monkeypatch.setattr(log, "sweep", sweep)
        with pytest.raises(LogFull):
            log.append(records(3))
        assert len(log) == 0

    def test_by_age(self, path: Path, records: Records, monkeypatch: pytest.MonkeyPatch) -> None:
        made = records(9)
        with Writer(path, Retention(max_age_days=1)) as log:
            now = time.time()
            for number, days in enumerate((3.0, 2.0, 0.5)):
                monkeypatch.setattr(time, "time", lambda days=days: now - days * 86400)
                log.append(made[3 * number : 3 * number + 3])
            monkeypatch.setattr(time, "time", lambda: now)
            log.sweep()
            assert list(log.read()) == made[6:]
            monkeypatch.setattr(time, "time", lambda: now + 86400)
            log.sweep()
            assert list(log.read()) == made[8:]  # the newest stays
            log.append(records(1, epoch="cd"))
            assert [record.Sequence for record in log.read()] == [9, 10]

    def test_it_is_known_how_far_each_stream_was(self, path: Path, records: Records) -> None:
        video, camera = records(4, "video"), records(5000, "camera")
        with Writer(path, Retention(max_megabytes=1)) as log:
            log.append(video)
            log.append(camera)
            log.sweep()
            assert log.newest("video") == video[-1]
            left = list(log.read())
            assert left[0] == video[-1]
            assert left[1:] == camera[-len(left) + 1 :]
            assert len(left) < 4000
            assert log.append(video[-1:]) == 0
            assert log.check() == []
