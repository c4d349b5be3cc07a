"""Processes of sinks against receivers that are down, slow or full, and killed processes."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.frame_records import make_records
from tests.support.processes import wait_until
from tests.support.webhooks import first_seen, receiver

from onlooker.config.section import ConfigError
from onlooker.config.sinks import SinkConfig
from onlooker.record.log.reader import Log, LogError
from onlooker.record.log.writer import Writer
from onlooker.stream import sink_processes, sink_status
from onlooker.stream.sink_processes import SinkProcesses

SECONDS = 60.0


def until(group: SinkProcesses, true: Callable[[], bool]) -> bool:
    """Watch the processes until `true()`; return whether it became so in time."""

    def watched() -> bool:
        group.watch()
        return true()

    return wait_until(watched, SECONDS)


def webhook(port: int, **settings: object) -> SinkConfig:
    url = f"http://127.0.0.1:{port}/in"
    return SinkConfig(kind="webhook", url=url, timeout=2.0, batch=10, **settings)  # type: ignore[arg-type]


def written(log: Path) -> list[str]:
    """Return the RecordIds in the log, in order."""
    with Log(log) as opened:
        return [record.RecordId for record in opened.read()]


def test_records_of_a_log_that_is_made_later_arrive_through_all_that_fails(tmp_path: Path) -> None:
    """The receiver is down first, then full, then well; the process is killed in between."""
    path = tmp_path / "records.db"
    with receiver() as gone:
        port = gone.port
    with sink_processes.running(path, {"hook": webhook(port, send=("records",))}) as group:
        group.watch()
        with Writer(path) as log:
            log.append(make_records(30))

            def failing() -> bool:
                found = group.status()
                return any("refused" in one.error and one.backlog == 30 for one in found)

            assert until(group, failing)
            with receiver(port) as there:
                there.answer = 507
                assert until(group, lambda: "507" in group.status()[0].error)
                there.answer = 200
                assert until(group, lambda: group.status()[0].backlog == 0)
                [process] = group.processes()
                os.kill(process.id, signal.SIGKILL)
                log.append(make_records(30, "b"))
                assert group.finish() == []
                assert first_seen(there.ids) == written(path)
    [status] = sink_status.read(path, ["hook"])
    assert (status.state, status.error, status.backlog) == ("stopped", "", 0)


def test_a_slow_one_delays_no_other(tmp_path: Path) -> None:
    path = tmp_path / "records.db"
    with receiver() as slow, receiver() as fast, Writer(path) as log:
        slow.delay = 1.0
        sinks = {
            "slow": webhook(slow.port, streams=("a",)),
            "fast": webhook(fast.port, streams=("b",)),
        }
        with sink_processes.running(path, sinks) as group:
            log.append(make_records(100, "a"))
            log.append(make_records(20, "b"))
            assert until(group, lambda: len(fast.lines) == 20)
            assert len(slow.lines) < 100
            slow.delay = 0.0
            assert group.finish() == []
        assert first_seen(slow.ids) + first_seen(fast.ids) == written(path)


def test_the_end_waits_only_as_long_as_something_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sink_processes, "IDLE_SECONDS", 1.0)
    path = tmp_path / "records.db"
    with Writer(path) as log:
        log.append(make_records(5))
    with receiver() as gone:
        port = gone.port
    sinks = {"hook": webhook(port)}
    with sink_processes.running(path, sinks, live=False) as group:
        [waiting] = group.finish()
        assert waiting.name == "hook"
        assert until(group, lambda: bool(group.status()))
        with pytest.raises(LogError, match="another process sends this log"):
            SinkProcesses(path, sinks, False)
    monkeypatch.setattr(sink_processes, "IDLE_SECONDS", 60.0)
    with receiver(port) as there:
        with sink_processes.running(path, sinks) as group:
            assert group.finish() == []
        assert there.ids == written(path), "the next start goes on where this one was"
        with sink_processes.running(path, sinks) as group:
            assert group.finish() == []
        assert len(there.ids) == 5, "nothing comes again after an orderly end"


def test_a_process_that_hangs_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sink_processes, "MIN_SILENCE_SECONDS", 4.0)
    path = tmp_path / "records.db"
    with (
        receiver() as there,
        Writer(path) as log,
        sink_processes.running(path, {"hook": webhook(there.port)}) as group,
    ):
        log.append(make_records(3))
        assert until(group, lambda: len(there.lines) == 3)
        [process] = group.processes()
        os.kill(process.id, signal.SIGSTOP)
        began = time.monotonic()
        log.append(make_records(3, "b"))
        assert until(group, lambda: len(first_seen(there.ids)) == 6)
        assert time.monotonic() - began > 2
        assert group.processes()[0].id != process.id


def test_what_cannot_be_used_is_told_at_the_start(tmp_path: Path) -> None:
    sink = webhook(1, secret="env:NOWORD")
    with pytest.raises(ConfigError, match=r"\[sinks\.hook\] the secret"):
        SinkProcesses(tmp_path / "records.db", {"hook": sink}, False)
