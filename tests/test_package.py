"""The public names, and what importing them costs."""

import subprocess
import sys
from pathlib import Path

import pytest

import onlooker


@pytest.mark.parametrize("name", onlooker.__all__)
def test_every_public_name_is_documented(name: str) -> None:
    public = getattr(onlooker, name)
    assert public.__doc__
    assert name in dir(onlooker)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'onlooker' has no attribute 'nobody'"):
        _ = onlooker.nobody


def test_importing_onlooker_loads_nothing_else() -> None:
    script = """
import sys
before = set(sys.modules)
import onlooker
new = set(sys.modules) - before
print(*sorted(n for n in new if n.partition(".")[0] not in sys.stdlib_module_names))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == ["onlooker"]


def test_python_m_onlooker_is_the_command(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "onlooker", "--version"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert done.stdout.startswith("onlooker ")


def test_one_string_is_no_list_of_streams() -> None:
    with pytest.raises(ValueError, match=r"streams are names, as \['door'\], not one string"):
        onlooker.subscribe("tcp://127.0.0.1:9", streams="door")
