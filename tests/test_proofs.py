"""The short forms of the proofs: that the commands work, and say yes."""

import subprocess
import sys
from pathlib import Path

import pytest

PROOFS = Path(__file__).resolve().parent / "proofs"


@pytest.mark.parametrize(
    "words",
    [
        ("determinism.py", "--frames", "90", "--times", "3"),
        ("kill_lottery.py", "--frames", "4000", "--kills", "4", "--seed", "3"),
        ("stream_faults.py", "--faults", "12", "--changes", "0", "--seed", "3"),
    ],
    ids=lambda words: words[0],
)
def test_proof(words: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, str(PROOFS / words[0]), *words[1:]],
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stdout + done.stderr
