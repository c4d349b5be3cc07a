"""The names of data streams, and the log that each thread reads."""

import contextlib
import sqlite3
import threading
from pathlib import Path

import pytest
from tests.support.kinesis import streams, write_log
from tests.support.kinesis_contexts import kinesis_context
from tests.support.processors import processor

from onlooker.config.schema import Config, SourceConfig
from onlooker.record.log.reader import LogError
from onlooker.record.log.writer import Writer
from onlooker.stream import processors

FORMATS = Path(__file__).parents[2] / "record" / "log" / "formats"


def test_a_stream_is_there_before_its_first_record(tmp_path: Path) -> None:
    source = SourceConfig(url="test://moving")
    named = {"door": source, "yard": SourceConfig(url="test://moving", topic="outside")}
    with kinesis_context(tmp_path, Config(streams=named)) as context:
        assert context.streams() == {"door": 0.0, "outside": 0.0}
        context.check_ready()
        made = processor()
        processors.create(context.table, made)
        context.table.add("shed", source)
        assert context.streams() == {"door": 0, "outside": 0, "results": made.created, "shed": 0}
        write_log(tmp_path / "r.db", streams(2, "attic", "door"))
        found = context.streams()
        assert list(found) == ["attic", "door", "outside", "results", "shed"]
        assert found["door"] == found["attic"] > 1e9


def test_each_thread_reads_for_itself(tmp_path: Path) -> None:
    write_log(tmp_path / "r.db", streams(2, "door"))
    found: list[object] = []
    together = threading.Barrier(3, timeout=30)
    with kinesis_context(tmp_path) as context:

        def look() -> None:
            together.wait()
            for _ in range(2):
                with context.reading() as log:
                    found.append(log)
            together.wait()

        threads = [threading.Thread(target=look) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(found) == 6
    assert len(set(map(id, found))) == 3


def test_a_log_of_an_earlier_format_is_read_once_it_is_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "r.db"
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.executescript((FORMATS / "3.sql").read_text())
        database.execute("PRAGMA journal_mode = WAL")
    with kinesis_context(tmp_path) as context:
        assert context.streams() == {}
        Writer(path).close()
        assert list(context.streams()) == ["door", "yard"]


def test_a_file_that_is_no_log_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "r.db").write_text("my notes" * 100)
    with kinesis_context(tmp_path) as context, pytest.raises(LogError, match="not a log"):
        context.check_ready()
