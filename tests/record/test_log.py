import contextlib
import errno
import multiprocessing
import os
import random
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from onlooker.record.log import JsonLines, LogError, read
from onlooker.record.shapes import StreamRecord, decode, encode

Records = Callable[..., list[StreamRecord]]
SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "records.jsonl"


class TestAppend:
    def test_is_one_line_each(self, path: Path, records: Records) -> None:
        made = records(3)
        with JsonLines(path) as log:
            assert [log.append(record) for record in made] == [True, True, True]
        assert path.read_bytes() == b"".join(encode(record) + b"\n" for record in made)
        assert list(read(path)) == made

    def test_is_there_when_it_returns(self, path: Path, records: Records) -> None:
        with JsonLines(path) as log:
            for count, record in enumerate(records(5), 1):
                log.append(record)
                assert len(list(read(path))) == count

    def test_each_record_once(self, path: Path, records: Records) -> None:
        made = records(4)
        with JsonLines(path) as log:
            assert [log.append(record) for record in made * 2] == [True] * 4 + [False] * 4
            assert len(log) == 4
        with JsonLines(path) as log:
            assert len(log) == 4
            assert all(record.RecordId in log for record in made)
            assert not any(log.append(record) for record in made)
        assert list(read(path)) == made

    def test_several_streams_in_one_file(self, path: Path, records: Records) -> None:
        first, second = records(3, stream="a"), records(3, stream="b")
        with JsonLines(path) as log:
            for record in [*first, *second]:
                assert log.append(record)
        assert list(read(path)) == [*first, *second]

    def test_is_forced_to_the_disk_once_a_second(
        self, path: Path, records: Records, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        forced: list[int] = []
        monkeypatch.setattr(os, "fsync", forced.append)
        now = [100.0]
        monkeypatch.setattr(time, "monotonic", lambda: now[0])
        with JsonLines(path) as log:
            for record in records(25):  # 0.1 s apart
                log.append(record)
                now[0] += 0.1
            assert len(forced) == 2
        assert len(forced) == 3


class TestOpen:
    def test_every_way_a_line_can_be_torn(self, path: Path, records: Records) -> None:
        made = records(3, faces=0, lines=0)
        lines = [encode(record) + b"\n" for record in made]
        for length in range(len(lines[2])):
            path.write_bytes(b"".join(lines[:2]) + lines[2][:length])
            assert list(read(path)) == made[:2]
            with JsonLines(path) as log:
                assert len(log) == 2
                assert log.append(made[2])
            assert path.read_bytes() == b"".join(lines)

    def test_zeros_that_a_power_cut_left(self, path: Path, records: Records) -> None:
        made = records(2)
        path.write_bytes(encode(made[0]) + b"\n" + bytes(5000))
        with JsonLines(path) as log:
            assert log.append(made[1])
        assert list(read(path)) == made

    def test_something_else_than_records(self, path: Path) -> None:
        path.write_text("name,age\nAnna,30\n")
        with pytest.raises(LogError, match=r"line 1 is not a stream record .*name another file"):
            JsonLines(path)
        assert path.read_text() == "name,age\nAnna,30\n"

    @pytest.mark.parametrize("text", ['{"people": ["Anna"]}', "[1, 2]", "hello"])
    def test_a_file_without_a_last_newline_is_not_emptied(self, path: Path, text: str) -> None:
        path.write_text(text)
        with pytest.raises(LogError, match=r"line 1 is not a stream record"):
            JsonLines(path)
        assert path.read_text() == text

    def test_a_bad_line_in_the_middle(self, path: Path, records: Records) -> None:
        made = [encode(record) for record in records(3)]
        path.write_bytes(b"\n".join([made[0], b'{"RecordId": "no', made[2], b""]))
        with pytest.raises(LogError, match=r"records.jsonl: line 2"):
            JsonLines(path)

    def test_one_writer_at_a_time(self, path: Path, records: Records) -> None:
        refusal = pytest.raises(LogError, match="another process is writing records there")
        with JsonLines(path), refusal:
            JsonLines(path)
        with JsonLines(path) as log:
            assert log.append(records(1)[0])

    def test_no_such_folder(self, tmp_path: Path) -> None:
        with pytest.raises(LogError, match=r"a/b.jsonl: No such file or directory"):
            JsonLines(tmp_path / "a" / "b.jsonl")

    @pytest.mark.parametrize("device", ["/dev/null", "/dev/full", "/dev/zero"])
    def test_a_device(self, device: str) -> None:
        if not Path(device).exists():
            pytest.skip(f"there is no {device} here")
        with pytest.raises(LogError, match=f"{device}: not a regular file; name another"):
            JsonLines(Path(device))

    def test_a_folder(self, tmp_path: Path) -> None:
        with pytest.raises(LogError, match="Is a directory; records cannot be written there"):
            JsonLines(tmp_path)


class TestFullDisk:
    def test_what_did_not_fit_is_cut_back(
        self, path: Path, records: Records, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A disk takes what still fits, and refuses the rest."""
        made = records(3)
        space = [len(encode(made[0])) + 100]
        write = os.write

        def limited(file: int, data: bytes) -> int:
            if not space[0]:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            written = write(file, data[: space[0]])
            space[0] -= written
            return written

        with JsonLines(path) as log:
            monkeypatch.setattr(os, "write", limited)
            assert log.append(made[0])
            with pytest.raises(LogError, match=r"records.jsonl: No space left .* after 1 records"):
                log.append(made[1])
            assert list(read(path)) == made[:1]
            space[0] = 10**6
            assert log.append(made[1])
            assert log.append(made[2])
        assert list(read(path)) == made


class TestRead:
    def test_bad_line_is_named(self, path: Path, records: Records) -> None:
        made = records(2)
        path.write_bytes(encode(made[0]) + b"\n{}\n")
        reading = read(path)
        assert next(reading) == made[0]
        with pytest.raises(LogError, match=r"records.jsonl: line 2: not a stream record"):
            next(reading)

    def test_no_such_file(self, path: Path) -> None:
        with pytest.raises(LogError, match="No such file"):
            list(read(path))

    def test_members_that_nobody_knows(self, path: Path, records: Records) -> None:
        line = encode(records(1)[0]).replace(b'"Sequence"', b'"Colour":1,"Sequence"')
        path.write_bytes(line + b"\n")
        with pytest.raises(LogError, match="unknown field `Colour`"):
            list(read(path))


def test_killed_writers_lose_nothing_and_repeat_nothing(path: Path, records: Records) -> None:
    """Twenty writers in turn, each killed at some instant; the next goes on where the file ends."""
    made = records(1000, faces=12)  # lines longer than a page
    lines = [encode(record) for record in made]
    for seed in range(20):
        reader, end = SPAWN.Pipe(duplex=False)
        writer = SPAWN.Process(target=_append_all, args=(path, lines, end))
        writer.start()
        end.close()
        acknowledged = reader.recv()
        time.sleep(random.Random(seed).uniform(0, 0.01))
        writer.kill()
        writer.join(10)
        with contextlib.suppress(EOFError):
            while True:
                acknowledged = reader.recv()
        there = list(read(path))
        assert there == made[: len(there)], f"seed {seed}"
        assert len(there) >= acknowledged, f"seed {seed}"
    with JsonLines(path) as log:
        for record in made:
            log.append(record)
    assert list(read(path)) == made


def _append_all(path: Path, lines: list[bytes], end: Connection) -> None:
    with JsonLines(path) as log:
        end.send(len(log))
        for count, line in enumerate(lines, 1):
            log.append(decode(line))
            end.send(count)
