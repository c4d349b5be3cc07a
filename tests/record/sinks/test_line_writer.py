"""Records as lines of an open file."""

import io
import os
import time
from pathlib import Path

import pytest
from tests.support.commands import pipe_that_is_full
from tests.support.frames import frame

from onlooker.config.schema import Config
from onlooker.record.frame_record import build
from onlooker.record.log.writer import Writer
from onlooker.record.sinks.line_writer import LineWriter, following
from onlooker.record.sinks.sink import Follower
from onlooker.rekognition.shapes import decode


def test_only_the_records_of_its_streams_are_written_each_once(tmp_path: Path) -> None:
    lines = io.BytesIO()
    writer = LineWriter(lines)
    writer.streams = frozenset(["door"])
    with Writer(tmp_path / "r.db") as log:
        follower = Follower(log, writer)
        for index in range(3):
            log.append([build(frame(name, index), Config(), "d") for name in ("door", "yard")])
            follower.catch_up()
    found = [decode(line) for line in lines.getvalue().splitlines()]
    assert [(one.stream, one.FrameInformation.Index) for one in found] == [
        ("door", index) for index in range(3)
    ]


def test_all_that_a_log_has_at_the_end_is_written(tmp_path: Path) -> None:
    lines = io.BytesIO()
    writer = LineWriter(lines)
    writer.streams = frozenset(["door"])
    with Writer(tmp_path / "r.db") as log, following(tmp_path / "r.db", writer):
        for index in range(3):
            log.append([build(frame("door", index), Config(), "d")])
    found = [decode(line).FrameInformation.Index for line in lines.getvalue().splitlines()]
    assert found == [0, 1, 2]


@pytest.mark.timeout(60)
def test_a_pipe_that_nobody_reads_does_not_keep_an_error(tmp_path: Path) -> None:
    reader, full = pipe_that_is_full()
    with open(full, "wb", buffering=0) as file, Writer(tmp_path / "r.db") as log:
        writer = LineWriter(file)
        writer.streams = frozenset(["door"])
        log.append([build(frame("door", 0), Config(), "d")])
        with pytest.raises(RuntimeError, match="stopped"):  # noqa: SIM117
            with following(tmp_path / "r.db", writer):
                raise RuntimeError("stopped")
        os.close(reader)


def wait_for_error(log: Path, writer: LineWriter) -> None:
    with following(log, writer) as check:
        while True:
            check()
            time.sleep(0.01)


@pytest.mark.timeout(60)
def test_what_the_file_raises_is_told_to_the_block(tmp_path: Path) -> None:
    class Full(io.BytesIO):
        def write(self, _: object) -> int:
            raise OSError("no room")

    writer = LineWriter(Full())
    writer.streams = frozenset(["door"])
    with Writer(tmp_path / "r.db") as log:
        log.append([build(frame("door", 0), Config(), "d")])
        with pytest.raises(OSError, match="no room"):
            wait_for_error(tmp_path / "r.db", writer)
