import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from onlooker.config.schema import Retention
from onlooker.record.log.reader import LogError, LogFull
from onlooker.record.log.writer import Writer
from onlooker.record.sinks.json_lines import BLOCK_BYTES, JsonLines, read
from onlooker.record.sinks.sink import Follower
from onlooker.rekognition.shapes import StreamRecord, encode

Records = Callable[..., list[StreamRecord]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "records.jsonl"


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Writer]:
    with Writer(tmp_path / "records.db") as opened:
        yield opened


def follow(path: Path, log: Writer) -> None:
    with JsonLines(path, log) as lines:
        Follower(log, lines).catch_up()


class TestFollowing:
    def test_is_one_line_for_each_record(self, path: Path, log: Writer, records: Records) -> None:
        made = records(3)
        with JsonLines(path, log) as lines:
            for record in made:
                log.append([record])
                Follower(log, lines).catch_up()
        assert path.read_bytes() == b"".join(encode(record) + b"\n" for record in made)
        assert list(read(path)) == made

    def test_goes_on_where_the_file_ends(self, path: Path, log: Writer, records: Records) -> None:
        made = records(7)
        for record in made:
            log.append([record])
            if record.Sequence % 3 == 0:
                follow(path, log)
        follow(path, log)
        follow(path, log)
        assert list(read(path)) == made

    def test_every_way_a_line_can_be_torn(self, path: Path, log: Writer, records: Records) -> None:
        made = records(3, faces=0, lines=0)
        log.append(made)
        lines = [encode(record) + b"\n" for record in made]
        for length in range(len(lines[2])):
            path.write_bytes(b"".join(lines[:2]) + lines[2][:length])
            assert list(read(path)) == made[:2]
            follow(path, log)
            assert path.read_bytes() == b"".join(lines)

    def test_zeros_that_a_power_cut_left(self, path: Path, log: Writer, records: Records) -> None:
        made = records(2)
        log.append(made)
        path.write_bytes(encode(made[0]) + b"\n" + bytes(5000))
        follow(path, log)
        assert list(read(path)) == made

    def test_lines_longer_than_a_block(self, path: Path, log: Writer, records: Records) -> None:
        made = records(3, faces=150)
        assert len(encode(made[0])) > BLOCK_BYTES
        for number in range(1, 4):
            log.append(made[:number])
            follow(path, log)
        assert list(read(path)) == made

    def test_full_files_are_put_aside(self, path: Path, log: Writer, records: Records) -> None:
        made = records(40)
        limits = Retention(
            json_lines_max_megabytes=len(encode(made[0])) * 10.5 / 1e6, json_lines_max_files=2
        )
        for number in range(0, 40, 4):
            log.append(made[number : number + 4])
            with JsonLines(path, log, limits) as lines:
                Follower(log, lines).catch_up()
        older, old = list(read(Path(f"{path}.2"))), list(read(Path(f"{path}.1")))
        assert [*older, *old, *read(path)] == made[10:]
        assert not Path(f"{path}.3").exists()

    def test_goes_on_behind_a_file_that_was_just_put_aside(
        self, path: Path, log: Writer, records: Records
    ) -> None:
        made = records(4)
        log.append(made[:2])
        follow(path, log)
        path.rename(f"{path}.1")  # and then the writer was killed
        log.append(made[2:])
        follow(path, log)
        assert list(read(path)) == made[2:]


class TestOtherFiles:
    @pytest.mark.parametrize("text", ["name,age\nAnna,30\n", '{"people": ["Anna"]}', "hello"])
    def test_something_else_than_records(self, path: Path, log: Writer, text: str) -> None:
        path.write_text(text)
        with pytest.raises(LogError, match="name another file"):
            JsonLines(path, log)
        assert path.read_text() == text

    @pytest.mark.parametrize("rest", [b"", b"a line without end", b'{"InputInf'])
    @pytest.mark.parametrize("line", [b"my notes", bytes(range(9)), b'{"InputInformation": 1}'])
    def test_nothing_of_it_is_cut_off(
        self, path: Path, log: Writer, line: bytes, rest: bytes
    ) -> None:
        held = b"the first line\n" + line + b"\n" + rest
        path.write_bytes(held)
        with pytest.raises(LogError, match="name another file"):
            JsonLines(path, log)
        assert path.read_bytes() == held

    def test_the_log_itself(self, log: Writer) -> None:
        held = log.path.read_bytes()
        with pytest.raises(LogError, match="is the log itself"):
            JsonLines(log.path, log)
        assert log.path.read_bytes() == held

    def test_records_of_another_log(self, path: Path, log: Writer, records: Records) -> None:
        path.write_bytes(encode(records(1)[0]) + b"\n" + b'{"Input')
        with pytest.raises(LogError, match="holds records that are not in the log"):
            JsonLines(path, log)

    def test_no_such_folder(self, tmp_path: Path, log: Writer) -> None:
        with pytest.raises(LogError, match=r"a/b.jsonl: No such file or directory"):
            JsonLines(tmp_path / "a" / "b.jsonl", log)

    @pytest.mark.parametrize("device", ["/dev/null", "/dev/full", "/dev/zero"])
    def test_a_device(self, device: str, log: Writer) -> None:
        if not Path(device).exists():
            pytest.skip(f"there is no {device} here")
        with pytest.raises(LogError, match=f"{device}: is a device; name another file"):
            JsonLines(Path(device), log)

    def test_a_folder(self, tmp_path: Path, log: Writer) -> None:
        with pytest.raises(LogError, match="is a folder; name another file"):
            JsonLines(tmp_path, log)


def test_what_did_not_fit_on_a_full_disk_is_cut_back(
    path: Path, log: Writer, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk takes what still fits, and refuses the rest."""
    made = records(3)
    log.append(made)
    space = [len(encode(made[0])) + 100]
    write = os.write

    def limited(file: int, data: bytes) -> int:
        if not space[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = write(file, data[: space[0]])
        space[0] -= written
        return written

    with JsonLines(path, log) as lines:
        monkeypatch.setattr(os, "write", limited)
        with pytest.raises(LogFull, match=r"records.jsonl: No space left"):
            Follower(log, lines).catch_up()
        assert list(read(path)) == made[:1]
        space[0] = 10**6
        Follower(log, lines).catch_up()
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
