"""`onlooker watch`: what it prints, and the arguments it refuses."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.support.appearances import event, record
from tests.support.commands import onlooker
from tests.support.frames import frame
from typer.testing import CliRunner

from onlooker.cli import watch
from onlooker.cli.commands import app
from onlooker.config.schema import Config
from onlooker.record.frame_record import build
from onlooker.record.log.writer import Writer
from onlooker.record.sinks.publish import Publisher
from onlooker.record.subscribe import subscribe
from onlooker.rekognition.shapes import StreamRecord, decode


def test_records_are_printed_as_json_lines_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    records = [
        replace(build(frame("door", index), Config(), "digest"), Sequence=index)
        for index in (7, 8, 9)
    ]
    asked: list[object] = []

    def subscribe(*arguments: object, **keys: object) -> Iterator[StreamRecord]:
        asked.extend([*arguments, keys])
        yield from records

    monkeypatch.setattr(watch, "subscribe", subscribe)
    shown = CliRunner().invoke(app, ["watch", "tcp://h:1", "--stream", "door", "--since", "6"])
    assert shown.exit_code == 0
    assert asked == ["tcp://h:1", ["door"], (), 6, {"keys": None, "server": None, "log": None}]
    assert [decode(line.encode()) for line in shown.stdout.splitlines()] == records
    ended = "the publisher has ended; it sent 3 such records, from Sequence 7 on"
    assert ended in shown.output


def test_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    done = onlooker("watch", f"ipc://{tmp_path}/records", "--kind", "faces", cwd=tmp_path)
    assert done.returncode == 2
    assert "kind 'faces' is none of" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_key_without_the_publishers_is_refused(tmp_path: Path) -> None:
    onlooker("keys", "generate", "mine", cwd=tmp_path)
    done = onlooker("watch", f"ipc://{tmp_path}/records", "--key", "mine", cwd=tmp_path)
    assert done.returncode == 2
    assert "--key needs --server, the publisher's public key" in " ".join(done.stderr.split())


def test_a_stream_that_nobody_publishes_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    endpoint = f"ipc://{tmp_path}/records"
    with Writer(tmp_path / "r.db") as log, Publisher(log, endpoint) as publisher:
        waiting = subscribe(endpoint, streams=["dor"], timeout=0.5)
        serving = threading.Thread(target=lambda: [publisher.serve(0.05) for _ in range(40)])
        serving.start()
        with pytest.raises(TimeoutError):
            next(waiting)
        serving.join()
    assert "no such stream yet" in caplog.text
    assert "streams=dor published=none" in caplog.text


def test_a_negative_sequence_is_refused() -> None:
    shown = CliRunner().invoke(app, ["watch", "tcp://h:1", "--since", "-3"])
    assert shown.exit_code == 2
    assert "greater than or equal to 0" in shown.output


def test_events_are_printed_without_their_records(monkeypatch: pytest.MonkeyPatch) -> None:
    made = [
        record(0),
        record(1, event(0, "new", 1, 2, "anna"), event(1, "new", 1, 2, "bert", quiet=True)),
        record(2, event(0, "end", 1, 4, "anna")),
    ]
    monkeypatch.setattr(watch, "subscribe", lambda *_, **__: iter(made))
    shown = CliRunner().invoke(app, ["watch", "tcp://h:1", "--events"])
    lines = [json.loads(line) for line in shown.stdout.splitlines()]
    assert [(line["StreamName"], line["State"], line["Person"]) for line in lines] == [
        ("door", "new", "anna"),
        ("door", "end", "anna"),
    ]
