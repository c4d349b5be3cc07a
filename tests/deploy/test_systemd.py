"""The units of systemd: they are valid, harden what they start, and start what there is."""

import shlex
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest
from tests.support.deployment import DEPLOY, check_command

UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
MAX_EXPOSURE = 20
"""Of 100, by `systemd-analyze security`; a unit without hardening has 96."""

units = pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)


def settings(unit: Path) -> dict[str, list[str]]:
    found = defaultdict(list)
    for line in unit.read_text(encoding="utf-8").splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found[name].append(value)
    return found


@pytest.fixture
def analyze() -> str:
    """The program that checks units."""
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("no systemd-analyze (Debian: apt install systemd)")
    return program


@units
def test_a_unit_is_valid(unit: Path, analyze: str, tmp_path: Path) -> None:
    # The checker wants the program to exist.
    text = unit.read_text(encoding="utf-8").replace("/opt/onlooker/bin/onlooker", "/bin/true")
    (tmp_path / unit.name).write_text(text)
    done = subprocess.run(
        [analyze, "verify", "--man=no", str(tmp_path / unit.name)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    # It warns of what it ignores, with status 0.
    assert unit.name not in done.stderr


@units
def test_a_unit_leaves_little_exposed(unit: Path, analyze: str) -> None:
    words = [analyze, "security", "--offline=true", f"--threshold={MAX_EXPOSURE}", str(unit)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout


@units
def test_a_unit_starts_a_command_of_the_program(unit: Path) -> None:
    found = settings(unit)
    # Text takes the place of variables of the unit's files.
    line = found["ExecStart"][0].replace("${HUB}", "tcp://192.168.1.5:5570")
    check_command(shlex.split(line.replace("${PUBLIC}", "PUBLIC")))
    for name in ("NoNewPrivileges", "ProtectHome", "DynamicUser"):
        assert found[name] == ["yes"]
    assert found["ProtectSystem"] == ["strict"]
    assert found["CapabilityBoundingSet"] == [""]


@units
def test_a_unit_may_write_to_the_folders_that_it_names(unit: Path) -> None:
    found = settings(unit)
    folders = dict(pair.split("=") for line in found["Environment"] for pair in line.split())
    assert folders["ONLOOKER_DATA"] == f"/var/lib/{found['StateDirectory'][0]}"
    assert folders["ONLOOKER_MODELS"] == f"/var/cache/{found['CacheDirectory'][0]}/models"
