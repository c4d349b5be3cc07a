"""Answered calls, counted by day and operation."""

import sqlite3
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from onlooker.api.usage import Usage, calls, months, path_of

THIS = datetime.now(UTC).strftime("%Y-%m")


def busy(usage: Usage) -> None:
    for _ in range(500):
        usage.count("DetectFaces")


def test_processes_and_threads_count_together(tmp_path: Path) -> None:
    store = tmp_path / "faces.db"
    assert months(store) == []
    assert calls(store, THIS) == {}
    with Usage(store) as one, Usage(store) as other:
        threads = [threading.Thread(target=busy, args=(each,)) for each in (one, one, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        one.flush()
        other.count("DetectText")
    assert calls(store, THIS) == {"DetectFaces": 1500, "DetectText": 1}
    assert months(store) == [THIS]
    assert calls(store, "1999-12") == {}


def test_counts_that_cannot_be_written_are_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = tmp_path / "faces.db"
    path_of(store).mkdir()
    with Usage(store) as usage:
        usage.count("DetectFaces")
        usage.flush()
        assert "usage not written" in caplog.text
        path_of(store).rmdir()
    assert calls(store, THIS) == {"DetectFaces": 1}


def test_a_file_that_is_something_else(tmp_path: Path) -> None:
    path_of(tmp_path / "faces.db").write_bytes(b"nonsense" * 100)
    with pytest.raises(sqlite3.Error):
        months(tmp_path / "faces.db")
