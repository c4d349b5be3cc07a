"""What the scripts say of the locked dependencies: their licences and known vulnerabilities."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CI = Path(__file__).resolve().parent.parent / ".ci"


def run(script: str, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(CI / script), *options],
        capture_output=True,
        text=True,
        env=os.environ | variables,
        timeout=60,
    )


def test_users_get_libraries_of_allowed_licences() -> None:
    done = run("licences.py", "--runtime")
    assert done.returncode == 0, done.stderr
    lines = {words[0]: words[1:] for words in map(str.split, done.stdout.splitlines())}
    assert len(lines) > 40
    assert lines["pyzmq"][1:] == ["runtime", "BSD-3-Clause"]
    assert lines["annoy"][1:] == ["runtime", "Apache-2.0"]
    assert "pytest" not in lines


def test_all_locked_packages_that_are_here_are_listed() -> None:
    lines = run("licences.py").stdout.splitlines()
    assert any(line.split()[0] == "pytest" and line.split()[2] == "dev" for line in lines)


@pytest.mark.parametrize(
    ("licence", "allowed"),
    [
        ("License-Expression: GPL-3.0-only", False),
        ("License-Expression: MIT AND AGPL-3.0-only", False),
        ("License-Expression: GPL-2.0-only OR MIT", True),
        ("License-Expression: (GPL-2.0-only OR MIT) AND ISC", False),
        ("License: MIT License", True),
        ("Classifier: License :: OSI Approved :: GNU General Public License v3 (GPLv3)", False),
        ("Summary: says nothing", False),
    ],
)
def test_another_licence_of_a_runtime_dependency_is_refused(
    tmp_path: Path, licence: str, allowed: bool
) -> None:
    folder = tmp_path / "pyzmq-99.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(
        f"Metadata-Version: 2.4\nName: pyzmq\nVersion: 99.0\n{licence}\n"
    )
    done = run("licences.py", "--runtime", PYTHONPATH=str(tmp_path))
    assert (done.returncode == 0) == allowed
    assert ("pyzmq: " in done.stderr) != allowed


def audited(tmp_path: Path, answer: str) -> subprocess.CompletedProcess[str]:
    """Run the audit with a pip-audit that answers so."""
    program = tmp_path / "pip-audit"
    program.write_text(f"#!{sys.executable}\nprint({answer!r})\n")
    program.chmod(0o755)
    return run("audit.py", PATH=f"{tmp_path}:{os.environ['PATH']}")


def test_an_audit_says_what_was_found_and_what_was_not_asked(tmp_path: Path) -> None:
    good = {"name": "a", "version": "1", "vulns": []}
    bad = {"name": "b", "version": "2", "vulns": [{"id": "PYSEC-1", "fix_versions": ["3"]}]}
    unknown = {"name": "c", "skip_reason": "not found"}
    done = audited(tmp_path, json.dumps({"dependencies": [good]}))
    assert (done.returncode, done.stdout) == (0, "1 packages audited, 0 known vulnerabilities\n")
    done = audited(tmp_path, json.dumps({"dependencies": [good, bad, unknown]}))
    assert done.returncode == 1
    assert "b 2: PYSEC-1, fixed in 3\n2 packages audited" in done.stdout
    done = audited(tmp_path, json.dumps({"dependencies": [good, unknown]}))
    assert done.returncode == 2
    assert "1 could not be audited, such as c: not found" in done.stderr
    done = audited(tmp_path, "")
    assert done.returncode == 2
    assert "cannot be reached" in done.stderr
