"""`onlooker log`, as a user has it."""

import contextlib
import json
import sqlite3
import subprocess
import sys
import threading
import time
import unicodedata
from datetime import datetime
from pathlib import Path
from typing import Literal

import pytest
import typer
from tests.support.appearances import event, record
from typer.testing import CliRunner

from onlooker.cli.commands import app
from onlooker.cli.log import seconds
from onlooker.config.schema import Config
from onlooker.durable_file import Occupied
from onlooker.escape import STREAMS
from onlooker.record import curve_keys
from onlooker.record.frame_record import build
from onlooker.record.log.reader import Entry, Log, LogError
from onlooker.record.log.writer import Writer
from onlooker.types import Chip, Frame, TextLine

QUAD = ((1.0, 1.0), (30.0, 1.0), (30.0, 9.0), (1.0, 9.0))


def frame(stream: str, index: int, text: str) -> Frame:
    return Frame(
        stream=stream,
        epoch="e",
        index=index,
        pts=index,
        time_base=(1, 1),
        fragment=0,
        fragment_pts=0,
        started=0.0,
        width=64,
        height=36,
        lines=(TextLine(text=text, score=0.9, quad=QUAD, words=()),),
    )


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "r.db"
    with Writer(path) as writer:
        for index in range(100):
            writer.append([build(frame("door", index, f"EXIT {index}"), Config(), "d")])
        writer.append([build(frame("yard", 0, "way out"), Config(), "d")])
    return path


def run(*words: str) -> list[str]:
    done = CliRunner().invoke(app, list(words))
    assert done.exit_code == 0, done.output
    return done.stdout.splitlines()


def test_appearances_are_rows_and_lines(tmp_path: Path) -> None:
    path = tmp_path / "r.db"
    with Writer(path) as writer:
        writer.append(
            [
                record(0, event(0, "end", 10, 20.25, "anna")),
                record(1, event(1, "new", 1764144000, 1764144005)),
            ]
        )
    table = run("log", "appearances", "--log", str(path))
    [anna] = [row for row in table if "anna" in row]
    assert "10.0 s" in anna
    assert "10.2" in anna
    assert "91.5" in anna
    assert "not over" not in anna
    [unknown] = [row for row in table if "unknown 1" in row]
    assert datetime.fromtimestamp(1764144000).isoformat(" ", "seconds") in unknown
    assert "not over" in unknown
    [line] = run("log", "appearances", "--log", str(path), "--json", "--person", "anna")
    assert json.loads(line)["StreamName"] == "door"
    assert json.loads(line)["End"] == 20.25
    assert run("log", "appearances", "--log", str(path), "--to", "10", "--json") == []


def test_best_faces_are_written_to_a_folder_and_over_nothing(tmp_path: Path) -> None:
    path, folder = tmp_path / "r.db", tmp_path / "faces" / "today"
    anna, bert = event(0, "end", 10, 20, "anna"), event(1, "end", 30, 40, "bert")
    made = record(0, anna, bert)
    with Writer(path) as writer:
        writer.append([made], chips={made.RecordId: [Chip(track=anna.id, jpeg=b"JPEG")]})
    command = ["log", "appearances", "--log", str(path), "--faces", str(folder)]
    done = CliRunner().invoke(app, command)
    assert "1 of 2 appearances have an image" in done.stderr
    assert [(each.name, each.read_bytes()) for each in folder.iterdir()] == [
        (f"{anna.id}.jpg", b"JPEG")
    ]
    again = CliRunner().invoke(app, command)
    assert isinstance(again.exception, Occupied)
    (blocked := tmp_path / "file").write_text("mine")
    refused = CliRunner().invoke(app, [*command[:-1], str(blocked)])
    assert isinstance(refused.exception, LogError)
    assert blocked.read_text() == "mine"


def test_without_a_log_it_says_where_one_comes_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONLOOKER_DATA", str(tmp_path))
    done = CliRunner().invoke(app, ["log", "appearances"])
    assert str(done.exception) == (
        f"{tmp_path}/records.db: no log of records yet; `onlooker run` makes it, and a replay its "
        "own: name that with --log"
    )


def indexes(lines: list[str]) -> list[tuple[str, int]]:
    records = map(json.loads, lines)
    return [
        (
            record["InputInformation"]["KinesisVideo"]["StreamArn"].split("/")[1],
            record["FrameInformation"]["Index"],
        )
        for record in records
    ]


def test_tail(log: Path) -> None:
    assert indexes(run("log", "tail", "--log", str(log), "-n", "2")) == [("door", 99), ("yard", 0)]
    found = run("log", "tail", "--log", str(log), "-n", "2", "--stream", "door")
    assert indexes(found) == [("door", 98), ("door", 99)]


def test_a_stream_is_named_as_its_video_was(tmp_path: Path) -> None:
    path = tmp_path / "r.db"
    with Writer(path) as writer:
        for name in ("Büro", "Büro 2"):
            stream = STREAMS.encode(name)
            writer.append([build(frame(stream, 0, "EXIT"), Config(), "d")])
    for command in ("tail", "export", "query"):
        for name in ("Büro", "Bu\u0308ro", "B_ufc_ro"):
            found = run("log", command, "--log", str(path), "--stream", name)
            assert indexes(found) == [("B_ufc_ro", 0)]


def test_a_followed_log_repeats_nothing_that_comes_meanwhile(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    last = Log.last

    def appended_just_before(self: Log, number: int, stream: str | None = None) -> list[Entry]:
        with Writer(log) as writer:
            writer.append([build(frame("door", 100, "EXIT 100"), Config(), "d")])
        return last(self, number, stream)

    sleep = time.sleep

    def stop(pause: float) -> None:
        if threading.current_thread() is threading.main_thread():
            raise SystemExit(0)
        sleep(pause)  # a thread that another test has left

    monkeypatch.setattr(Log, "last", appended_just_before)
    monkeypatch.setattr(time, "sleep", stop)
    found = run("log", "tail", "--log", str(log), "-n", "3", "--follow")
    assert indexes(found) == [("door", 99), ("yard", 0), ("door", 100)]


def test_export(log: Path) -> None:
    assert len(run("log", "export", "--log", str(log))) == 101
    found = run("log", "export", "--log", str(log), "--stream", "door", "--since", "97")
    assert indexes(found) == [("door", 97), ("door", 98), ("door", 99)]


def test_query(log: Path) -> None:
    times = ("--from", "0:05", "--to", "12")
    found = run("log", "query", "--log", str(log), "--text", "exit 1", *times)
    assert indexes(found) == [("door", 10), ("door", 11)]


def test_a_query_for_a_stream_that_is_not_there_says_which_are(log: Path) -> None:
    done = CliRunner().invoke(app, ["log", "query", "--log", str(log), "--stream", "dor"])
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        "0 records",
        "no stream 'dor' is in the log; it has door, yard",
    ]
    done = CliRunner().invoke(app, ["log", "query", "--log", str(log), "--stream", "door",
                                    "--text", "nothing"])  # fmt: skip
    assert done.stderr.splitlines() == ["0 records"]


def test_check(log: Path) -> None:
    [line] = run("log", "check", "--log", str(log))
    assert line.endswith("101 records, all intact")


def test_a_damaged_log_is_told_and_saved(log: Path, tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(log)) as database:
        database.execute("UPDATE records SET body = substr(body, 2) WHERE position = 7")
        database.commit()
    command = [sys.executable, "-m", "onlooker", "log"]
    checked = subprocess.run(
        [*command, "check", "--log", str(log)], capture_output=True, text=True, timeout=60
    )
    assert checked.returncode == 1
    assert "record 7 is not what was written" in checked.stderr
    saved = subprocess.run(
        [*command, "export", "--log", str(log)], capture_output=True, text=True, timeout=60
    )
    assert saved.returncode == 1
    assert len(saved.stdout.splitlines()) == 100
    assert "1 damaged records were left out" in saved.stderr


def test_of_a_damaged_page_all_else_is_saved(log: Path) -> None:
    data = bytearray(log.read_bytes())
    start = data.index(b'"DetectedText":"EXIT 50"') // 4096 * 4096
    data[start : start + 2 * 4096] = bytes(2 * 4096)
    log.write_bytes(data)
    done = CliRunner().invoke(app, ["log", "export", "--log", str(log)])
    assert isinstance(done.exception, LogError)
    saved = indexes(done.stdout.splitlines())
    named = sum(" cannot be read" in line for line in done.stderr.splitlines())
    assert 80 < len(saved) < 101
    assert len(saved) + named == 101
    assert f"{named} damaged records were left out" in str(done.exception)


def test_a_folder_is_no_log(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["log", "check", "--log", str(tmp_path)])
    assert str(done.exception) == f"{tmp_path}: not a file, so not a log of records; name the file"


def test_times() -> None:
    assert seconds("95.5") == 95.5
    assert seconds("1:35") == 95.0
    assert seconds("1:00:05.5") == 3605.5
    assert seconds("2026-11-25T08:00+00:00") == 1795593600.0
    assert seconds("2026-11-25") == datetime(2026, 11, 25).timestamp()
    for wrong in ("yesterday", "0001-01-01"):
        with pytest.raises(typer.BadParameter, match=f"'{wrong}' is not a time: write "):
            seconds(wrong)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--from", "10", "--to", "10"), "--from 10 is not before --to 10"),
        (("--from", "2026-11-25", "--to", "12"), "one is a time of a video, the other of a camera"),
    ],
)
def test_times_between_which_there_can_be_nothing(
    log: Path, words: tuple[str, ...], told: str
) -> None:
    done = CliRunner(env={"COLUMNS": "200"}).invoke(
        app, ["log", "query", "--log", str(log), *words]
    )
    assert done.exit_code == 2
    assert told in done.stderr


def test_times_of_the_wrong_kind_are_told(log: Path) -> None:
    done = CliRunner().invoke(app, ["log", "query", "--log", str(log), "--from", "2026-11-25"])
    assert done.stderr.splitlines() == [
        "0 records",
        "2026-11-25 may be the wrong kind of time: the log has 95.5 or 1:35, as of a video",
    ]


@pytest.mark.parametrize("command", ["tail", "export"])
def test_a_stream_that_is_not_there_is_told(log: Path, command: str) -> None:
    done = CliRunner().invoke(app, ["log", command, "--log", str(log), "--stream", "dor"])
    assert (done.stdout, done.exit_code) == ("", 0)
    assert done.stderr == "no stream 'dor' is in the log; it has door, yard\n"


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_text_is_found_in_any_unicode_form(tmp_path: Path, form: Literal["NFC", "NFD"]) -> None:
    path = tmp_path / "u.db"
    with Writer(path) as writer:
        for index, text in enumerate(["CAFÉ MÜLLER", unicodedata.normalize("NFD", "Café")]):
            writer.append([build(frame("door", index, text), Config(), "d")])
    asked = unicodedata.normalize(form, "café")
    assert len(run("log", "query", "--log", str(path), "--text", asked)) == 2


def test_keys(tmp_path: Path) -> None:
    path = tmp_path / "my.key"
    [made] = run("keys", "generate", str(path))
    assert run("keys", "show", str(path)) == [made]
    assert curve_keys.read(path).public == made


def test_what_stream_asks_for_is_told(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "onlooker", "stream"]
    for words, message in (
        ([], "there is no stream: write [streams.door]"),
        (["door"], "argument 1 is not NAME=URL"),
        (["door=http://127.0.0.1:9/x", "video=missing.mp4"], "missing.mp4: No such file"),
    ):
        done = subprocess.run(
            [*command, *words], cwd=tmp_path, capture_output=True, text=True, timeout=120
        )
        assert done.returncode != 0
        assert message in done.stderr
        assert "Traceback" not in done.stderr
