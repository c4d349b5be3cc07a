"""`onlooker doctor` finds lacks that are made on purpose, and says what to do."""

import json
import os
import shutil
from collections import namedtuple
from pathlib import Path

import pytest
from typer.testing import CliRunner

from onlooker.cli.commands import app
from onlooker.models import session
from onlooker.models.card import WeightsError

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
    assert len(done.output.splitlines()) == len(check()[1])
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
def test_little_room_is_a_note_with_advice(monkeypatch: pytest.MonkeyPatch) -> None:
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
