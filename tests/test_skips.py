"""Tests that are skipped: in CI, only for want of hardware or of a named optional program."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.skips import EXCUSES, excuse

ROOT = Path(__file__).resolve().parent.parent
CASES = """
import pytest

@pytest.fixture
def sdk():
    pytest.skip("aws-sdk cannot be installed: ENOTFOUND")

def test_well(): pass
def test_unexplained(sdk): pass
def test_promtool(): pytest.skip("no promtool (Debian: apt install prometheus)")
@pytest.mark.skipif(True, reason="root may read everything")
def test_root(): pass
@pytest.mark.xfail
def test_known(): assert False
"""
MODULE = "import pytest\npytest.importorskip('no_such_package_of_ours')\n"


def outcome(folder: Path, **environment: str) -> tuple[int, str]:
    """The exit status of pytest in `folder`, and what it says."""
    kept = {k: v for k, v in os.environ.items() if k != "CI" and not k.startswith("PYTEST_")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.support.skips", "-c", "/dev/null", "-ra"],
        cwd=folder,
        env={**kept, **environment, "PYTHONPATH": str(ROOT), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "test_cases.py").write_text(CASES, encoding="utf-8")
    return tmp_path


def test_a_skip_without_an_excuse_fails_in_ci(folder: Path) -> None:
    status, said = outcome(folder, CI="true")
    assert status == 1, said
    assert "2 skipped: 1 for promtool, 1 for root's absence" in said
    assert "aws-sdk cannot be installed: ENOTFOUND" in said
    assert "1 passed, 2 skipped, 1 xfailed, 1 error" in said


def test_elsewhere_it_is_a_skip(folder: Path) -> None:
    status, said = outcome(folder)
    assert status == 0, said
    assert "1 for other reasons" in said
    assert "1 passed, 3 skipped, 1 xfailed" in said


def test_a_module_that_skips_itself_fails_in_ci(tmp_path: Path) -> None:
    (tmp_path / "test_module.py").write_text(MODULE, encoding="utf-8")
    status, said = outcome(tmp_path, CI="true")
    assert status == 2, said
    assert "could not import 'no_such_package_of_ours'" in said
    status, _ = outcome(tmp_path)
    assert status == 5  # there is no test, which is no error


def test_every_excuse_is_one_of_a_test() -> None:
    """An excuse whose test is gone, or says something else now, would excuse others."""
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py")]
    literal = re.compile(r"""(?:skip\(f?|reason=)\s*(?:"([^"]+)"|'((?:[^'\\]|\\.)+)')""")
    found = [double or single for text in texts for double, single in literal.findall(text)]
    said = [each.replace("\\'", "'") for each in found]
    explained = {excuse(reason) for reason in said}
    assert explained >= EXCUSES.keys()
