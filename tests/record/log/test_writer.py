import contextlib
import multiprocessing
import random
import resource
import signal
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from msgspec.structs import replace

from onlooker.record.log import reader as logs
from onlooker.record.log import writer as writers
from onlooker.record.log.reader import Log, LogError, LogFull, read_log
from onlooker.record.log.writer import Writer
from onlooker.rekognition.shapes import StreamRecord, decode, encode

Records = Callable[..., list[StreamRecord]]
SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "records.db"


@pytest.fixture
def log(path: Path) -> Iterator[Writer]:
    with Writer(path) as opened:
        yield opened


def at(record: StreamRecord, seconds: float) -> StreamRecord:
    """The record, `seconds` after the beginning of its video."""
    video = record.InputInformation.KinesisVideo
    moved = replace(video, ProducerTimestamp=seconds, FrameOffsetInSeconds=0.0)
    return replace(record, InputInformation=replace(record.InputInformation, KinesisVideo=moved))


class TestAppend:
    def test_is_there_when_it_returns(self, path: Path, log: Writer, records: Records) -> None:
        for number, record in enumerate(records(5), 1):
            assert log.append([record]) == 1
            assert len(list(read_log(path))) == number

    def test_each_record_once(self, path: Path, records: Records) -> None:
        made = records(4)
        with Writer(path) as log:
            assert log.append(made[:3]) == 3
            assert log.append([*made, *made]) == 1
        with Writer(path) as log:
            assert log.append(made) == 0
            assert len(log) == 4
            assert all(record.RecordId in log for record in made)
        assert list(read_log(path)) == made

    def test_each_stream_counts_for_itself(self, log: Writer, records: Records) -> None:
        made = [*records(3, stream="a"), *records(2, stream="b"), *records(2, "a", epoch="cd")]
        log.append(made)
        counted = [(record.stream, record.Sequence) for record in log.read()]
        assert counted == [("a", 1), ("a", 2), ("a", 3), ("b", 1), ("b", 2), ("a", 4), ("a", 5)]
        assert log.sequences_at(4) == {"a": 3, "b": 1}

    def test_a_group_is_there_as_a_whole_or_not_at_all(self, log: Writer, records: Records) -> None:
        made = records(3)
        broken = replace(made[2], RecordId="no")
        with pytest.raises(ValueError, match="badly formed"):
            log.append([*made[:2], broken])
        assert len(log) == 0
        log.append(made)
        assert list(log.read()) == made

    def test_readers_do_not_wait(self, path: Path, log: Writer, records: Records) -> None:
        made = records(1200)
        log.append(made[:600])
        with Log(path) as reader:
            reading = reader.read()
            first = [next(reading) for _ in range(3)]
            log.append(made[600:])
            assert [*first, *reading] == made

    def test_one_writer_at_a_time(self, path: Path, log: Writer) -> None:
        with pytest.raises(LogError, match="another process is writing records there"):
            Writer(path)


class TestOpen:
    def test_no_log(self, path: Path) -> None:
        with pytest.raises(LogError, match=r"records.db: there is no log"):
            Log(path)

    def test_no_such_folder(self, tmp_path: Path) -> None:
        with pytest.raises(LogError, match="No such file or directory; records cannot be logged"):
            Writer(tmp_path / "a" / "b.db")

    @pytest.mark.parametrize("content", [b"name,age\nAnna,30\n" * 99, b"x"])
    def test_something_else(self, path: Path, content: bytes) -> None:
        path.write_bytes(content)
        for kind in (Log, Writer):
            with pytest.raises(LogError, match="not a log of records"):
                kind(path)
        assert path.read_bytes() == content

    def test_another_database(self, path: Path) -> None:
        with contextlib.closing(sqlite3.connect(path)) as database:
            database.execute("CREATE TABLE mine (a)")
        with pytest.raises(LogError, match="not a log of records; name another file"):
            Writer(path)

    def test_the_user_has_one(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ONLOOKER_DATA", str(tmp_path / "new"))
        Writer(logs.default_path()).close()
        assert (tmp_path / "new" / "records.db").exists()


class TestDamage:
    def damaged(self, path: Path, records: Records, bit: int) -> None:
        """A log whose 5th record has one bit flipped behind SQLite's back."""
        with Writer(path) as log:
            log.append(records(9))
        with contextlib.closing(sqlite3.connect(path)) as database:
            [(body,)] = database.execute("SELECT body FROM records WHERE position = 5").fetchall()
            flipped = bytearray(body)
            flipped[bit // 8 % len(body)] ^= 1 << bit % 8
            database.execute("UPDATE records SET body = ? WHERE position = 5", (bytes(flipped),))
            database.commit()

    @pytest.mark.parametrize("bit", [0, 77, 1003, 3333, 9999])
    def test_a_flipped_bit_is_found(self, path: Path, records: Records, bit: int) -> None:
        self.damaged(path, records, bit)
        with Log(path) as log:
            assert log.check() == ["record 5 is not what was written"]

    def test_a_writer_looks_after_one_that_did_not_close(
        self, path: Path, records: Records
    ) -> None:
        self.damaged(path, records, 77)
        Writer(path).close()
        path.with_name("records.db-writer").write_text(writers._boot())
        with pytest.raises(LogError, match="damaged: record 5 is not what was written"):
            Writer(path)

    @pytest.fixture
    def overwritten(self, path: Path, records: Records) -> Iterator[int]:
        """Leaves the log of 60 records with one page after the other zeroed; yields its number."""
        with Writer(path) as log:
            log.append(records(60))
        whole = path.read_bytes()

        def pages() -> Iterator[int]:
            for page in range(len(whole) // 4096):
                broken = bytearray(whole)
                broken[page * 4096 : page * 4096 + 4096] = bytes(4096)
                path.write_bytes(broken)
                yield page

        return pages()

    def test_after_a_loss_of_power_no_zeroed_page_is_overlooked(
        self, path: Path, overwritten: Iterator[int]
    ) -> None:
        tried = 0
        for page in overwritten:
            tried += 1
            path.with_name("records.db-writer").write_text(str(uuid.uuid4()))
            with pytest.raises(LogError, match="damaged|not a log of records" if page else "not a"):
                Writer(path)
        assert tried > 20

    def test_what_is_on_the_other_pages_is_saved(
        self, path: Path, overwritten: Iterator[int], records: Records
    ) -> None:
        made, saved = {encode(record) for record in records(60)}, []
        for _ in overwritten:
            try:
                with Log(path) as log:
                    assert log.check() != []
                    found = [entry for _, entry in log.salvage() if entry and entry.intact]
            except LogError:
                found = []
            assert {entry.body for entry in found} <= made
            saved.append(len(found))
        # Nothing is left without the first page and the roots of two tables.
        assert sorted(saved)[:3] == [0, 0, 0]
        assert min(sorted(saved)[3:]) >= 57


class TestFullDisk:
    def test_what_was_there_stays_and_it_goes_on_when_there_is_room(
        self, path: Path, log: Writer, records: Records
    ) -> None:
        """The limit on a file's size stands for a disk's end: SQLite is refused in the same way."""
        made = records(900)
        log.append(made[:100])
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        size = path.with_name("records.db-wal").stat().st_size
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20_000, before[1]))
            with pytest.raises(LogFull, match=r"records\.db: .*make room"):
                log.append(made[100:])
            assert list(read_log(path)) == made[:100]
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            signal.signal(signal.SIGXFSZ, handler)
        log.append(made[100:])
        assert list(read_log(path)) == made
        assert log.check() == []


def test_killed_writers_lose_nothing_and_repeat_nothing(path: Path, records: Records) -> None:
    """Twenty writers in turn, each killed at some instant; the next continues at the log's end."""
    made = records(2000)
    lines = [encode(record) for record in made]
    for seed in range(20):
        reader, end = SPAWN.Pipe(duplex=False)
        writer = SPAWN.Process(target=_append_all, args=(path, lines, end))
        writer.start()
        end.close()
        acknowledged = reader.recv()
        time.sleep(random.Random(seed).uniform(0, 0.02))
        writer.kill()
        writer.join(10)
        with contextlib.suppress(EOFError):
            while True:
                acknowledged = reader.recv()
        there = list(read_log(path))
        assert there == made[: len(there)], f"seed {seed}"
        assert len(there) >= acknowledged, f"seed {seed}"
    with Writer(path) as log:
        log.append(made)
        assert list(log.read()) == made
        assert log.check() == []


def _append_all(path: Path, lines: list[bytes], end: Connection) -> None:
    made = [decode(line) for line in lines]
    with Writer(path) as log:
        there = len(log)
        end.send(there)
        for number in range(there, len(lines), 7):
            log.append(made[number : number + 7])
            end.send(min(number + 7, len(lines)))
