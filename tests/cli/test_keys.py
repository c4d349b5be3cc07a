"""`onlooker keys`: a pair is generated once, and its public key is shown."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from onlooker.cli.commands import app
from onlooker.durable_file import Occupied
from onlooker.record import curve_keys


def test_generate_prints_the_public_key_that_show_prints(tmp_path: Path) -> None:
    path = tmp_path / "camera-room.key"
    generated = CliRunner().invoke(app, ["keys", "generate", str(path)])
    assert generated.exit_code == 0
    shown = CliRunner().invoke(app, ["keys", "show", str(path)])
    assert shown.stdout == generated.stdout == f"{curve_keys.read(path).public}\n"
    assert f"{path} has the secret and stays here" in generated.stderr
    assert path.stat().st_mode & 0o077 == 0


def test_a_key_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "mine.key"
    CliRunner().invoke(app, ["keys", "generate", str(path)])
    before = path.read_bytes()
    again = CliRunner().invoke(app, ["keys", "generate", str(path)])
    assert isinstance(again.exception, Occupied)
    with pytest.raises(Occupied, match=r"mine\.key"):
        raise again.exception
    assert path.read_bytes() == before
