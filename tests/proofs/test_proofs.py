"""The short forms of the proofs: that the commands work, and say yes."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "words",
    [
        ("determinism", "--frames", "90", "--times", "3"),
        ("kill_lottery", "--frames", "4000", "--kills", "4", "--seed", "3"),
        ("shell_manners", "--short"),
        ("odd_films", "--films", "8", "--seed", "2"),
        ("job_kills", "--jobs", "4", "--kills", "5", "--seconds", "3", "1", "--seed", "3"),
        ("stream_faults", "--faults", "12", "--changes", "0", "--seed", "3"),
        ("sinks", "--kinds", "nats", "webhook", "--restarts", "3", "--down", "1"),
        ("stream_processors", "--processors", "3", "--restarts", "1"),
    ],
    ids=lambda words: words[0],
)
def test_proof(words: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", f"tests.proofs.{words[0]}", *words[1:]],
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stdout + done.stderr
