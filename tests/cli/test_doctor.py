"""`onlooker doctor` finds lacks that are made on purpose, and says what to do."""

import json
import os
import shutil
import socket
from collections import namedtuple
from pathlib import Path

import av
import pytest
from typer.testing import CliRunner

from onlooker.cli.commands import app
from onlooker.models import session
from onlooker.models.card import WeightsError
from onlooker.stream import run_directory

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user with a configuration and a folder for data."""
    monkeypatch.setenv("ONLOOKER_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("ONLOOKER_CONFIG", str(tmp_path / "onlooker.toml"))
    (tmp_path / "onlooker.toml").touch()
    return tmp_path


def check() -> tuple[int, dict[str, dict[str, str]]]:
    done = CliRunner().invoke(app, ["doctor", "--json"])
    return done.exit_code, {each["subject"]: each for each in json.loads(done.stdout)}


@pytest.mark.usefixtures("machine")
def test_a_sound_machine_has_status_0_and_every_subject() -> None:
    status, found = check()
    assert status == 0
    assert {"processor", "memory", "shared memory", "ONNX Runtime", "models"} <= found.keys()
    assert found["video"]["state"] == found["data"]["state"] == "good"
    assert f"{len(os.sched_getaffinity(0))} cores" in found["processor"]["text"]


@pytest.mark.usefixtures("machine")
def test_the_text_has_a_line_for_each_subject() -> None:
    done = CliRunner().invoke(app, ["doctor"])
    *lines, last = done.output.splitlines()
    assert len(lines) == len(check()[1])
    assert last == "see it at work: onlooker demo --open"
    assert "good  video: PyAV" in done.output


def test_missing_models_are_a_note_and_missing_npm_is_a_lack(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONLOOKER_MODELS", str(machine / "models"))
    monkeypatch.setattr(shutil, "which", lambda name: None)
    status, found = check()
    assert status == 1
    assert "yunet" in found["models"]["text"]
    assert "onlooker models pull" in found["models"]["advice"]
    assert found["npm"]["state"] == "lack"


def test_a_wrong_configuration_is_a_lack_with_its_error(machine: Path) -> None:
    (machine / "onlooker.toml").write_text("[txt]\n")
    status, found = check()
    assert status == 1
    assert "txt" in found["configuration"]["text"]


@pytest.mark.usefixtures("machine")
def test_little_room_is_a_note_with_advice(monkeypatch: pytest.MonkeyPatch, quiet: None) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(64 << 20, 0, 64 << 20))
    status, found = check()
    assert status == 0
    assert "--shm-size=1g" in found["shared memory"]["advice"]
    assert "ONLOOKER_DATA" in found["data"]["advice"]


@pytest.mark.usefixtures("machine")
def test_no_onnx_runtime_is_a_lack(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> tuple[str, ...]:
        raise WeightsError('pip install "onlooker[cpu]"')

    monkeypatch.setattr(session, "available", missing)
    status, found = check()
    assert status == 1
    assert "onlooker[cpu]" in found["ONNX Runtime"]["text"]


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which nothing runs, whatever other tests do meanwhile."""
    monkeypatch.setattr(run_directory, "runs", list)


def test_streams_that_need_more_shared_memory_are_a_note(
    machine: Path, monkeypatch: pytest.MonkeyPatch, quiet: None
) -> None:
    text = "".join(f'[streams.s{n}]\nurl = "test://moving"\n' for n in range(24))
    (machine / "onlooker.toml").write_text(
        text + '[streams.off]\nurl="test://moving"\nenabled=false'
    )
    free = 1 << 30
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(free, 0, free))
    found = check()[1]["shared memory"]
    assert found["state"] == "note"
    # 24 cameras of 1920 x 1080 with 16 frames each, at 1.5 bytes a pixel.
    assert f"{24 * 16 * 1920 * 1080 * 1.5 / 1e9:.1f} GB that frames may take" in found["text"]
    assert "--shm-size=3g" in found["advice"]
    free = 2 << 30
    assert check()[1]["shared memory"]["state"] == "good"


def test_ports_that_are_taken_are_a_lack(machine: Path, quiet: None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        (machine / "onlooker.toml").write_text(
            f'[serve]\nport = {port}\n[console]\nlisten = "127.0.0.1:0"\n'
            f'[publish]\nendpoint = "ipc://records"\n'
        )
        status, found = check()
    assert status == 1
    assert f"127.0.0.1:{port}" in found["port of [serve]"]["text"]
    assert not [subject for subject in found if "console" in subject or "publish" in subject]
    status, found = check()
    assert status == 0
    assert found["ports"]["text"] == f"free: 127.0.0.1:{port}"


def test_ports_that_a_run_may_have_are_a_note(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_directory, "runs", lambda: [machine])
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        (machine / "onlooker.toml").write_text(f'[metrics]\nlisten = "{listen}"\n')
        status, found = check()
    assert status == 0
    assert found["port of [metrics]"]["state"] == "note"


def test_an_address_of_another_machine_is_a_lack(machine: Path, quiet: None) -> None:
    (machine / "onlooker.toml").write_text('[metrics]\nlisten = "192.0.2.1:9464"\n')
    status, found = check()
    assert status == 1
    assert "192.0.2.1:9464" in found["port of [metrics]"]["text"]


def test_what_a_sink_lacks_is_told(machine: Path) -> None:
    (machine / "onlooker.toml").write_text(
        '[sinks.hook]\nkind = "webhook"\nurl = "http://127.0.0.1:9/in"\nsecret = "env:NOT_SET"\n'
    )
    status, found = check()
    assert status == 1
    assert "NOT_SET" in found["configuration"]["text"]


@pytest.mark.usefixtures("machine")
def test_no_encoder_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(name: str, mode: str) -> None:
        raise ValueError(name)

    monkeypatch.setattr(av, "Codec", none)
    status, found = check()
    assert status == 0
    assert "libx264" in found["video"]["text"]
