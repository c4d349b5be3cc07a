"""`onlooker worker`: the arguments that it refuses, and what it starts."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from onlooker.cli import worker
from onlooker.cli.commands import app
from onlooker.config.schema import Config
from onlooker.record import curve_keys
from onlooker.record.curve_keys import BadKey


def test_a_worker_works_with_its_key_for_a_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[object] = []
    pulled: list[str] = []
    monkeypatch.setattr(worker, "pull_models", pulled.extend)

    def work(endpoint, keys, server, prepare, workers, machine):  # type: ignore[no-untyped-def]
        prepare(Config())
        found.extend([endpoint, keys, server, workers, machine])

    monkeypatch.setattr(worker, "work", work)
    keys = curve_keys.generate(tmp_path / "worker.key")
    arguments = ["tcp://127.0.0.1:5570", "--key", str(tmp_path / "worker.key")]
    shown = CliRunner().invoke(
        app, ["worker", *arguments, "--server", keys.public, "--workers", "3", "--name", "box"]
    )
    assert shown.exit_code == 0, shown.output
    assert found == ["tcp://127.0.0.1:5570", keys, keys.public, 3, "box"]
    assert {"yunet", "faceres"} <= set(pulled)  # all that a stream may ask for


@pytest.mark.parametrize("endpoint", ["127.0.0.1:5570", "ipc:///tmp/x", "tcp://hub", "tcp://h:0"])
def test_only_a_tcp_endpoint_is_joined(endpoint: str, tmp_path: Path) -> None:
    keys = curve_keys.generate(tmp_path / "worker.key")
    arguments = ["--key", str(tmp_path / "worker.key"), "--server", keys.public]
    shown = CliRunner().invoke(app, ["worker", endpoint, *arguments])
    assert shown.exit_code == 2


def test_keys_that_are_none_are_refused(tmp_path: Path) -> None:
    keys = curve_keys.generate(tmp_path / "worker.key")
    for key, server in (("nowhere", keys.public), (str(tmp_path / "worker.key"), "abc")):
        arguments = ["worker", "tcp://127.0.0.1:5570", "--key", key, "--server", server]
        shown = CliRunner().invoke(app, arguments)
        assert isinstance(shown.exception, BadKey)
