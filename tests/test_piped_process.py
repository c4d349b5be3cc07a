"""Piped processes: settings that travel, signs of life, and the end of their parent."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec

from onlooker import piped_process

CHILD = """
import sys, threading
from tests.test_piped_process import Settings
from onlooker import piped_process
settings, signs = piped_process.begin(Settings)
print("not a sign", settings.number)
signs.give()
signs.give(b"x")
threading.Event().wait(60)
"""


class Settings(msgspec.Struct):
    place: Path
    number: int


def child() -> "subprocess.Popen[bytes]":
    pipe = subprocess.PIPE
    path = os.pathsep.join(sys.path)
    made = subprocess.Popen(
        [sys.executable, "-c", CHILD],
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert made.stdin is not None
    made.stdin.write(piped_process.pack(Settings(Path("a\nb"), 7)))
    made.stdin.flush()
    return made


def test_settings_are_one_line_that_is_read_as_it_was_written() -> None:
    settings = Settings(Path("a\nb"), 7)
    line = piped_process.pack(settings)
    assert line.index(b"\n") == len(line) - 1
    assert piped_process.unpack(line, Settings) == settings


def test_a_process_gives_signs_only_and_ends_with_its_input() -> None:
    process = child()
    assert process.stdout is not None
    assert process.stdout.read(2) == b".x"
    assert process.poll() is None
    out, err = process.communicate(timeout=60)  # closes its input
    assert (out, err.decode().strip()) == (b"", "not a sign 7")
    assert process.returncode == -signal.SIGTERM


def test_a_parent_that_reads_no_signs_does_not_block_the_process() -> None:
    reading, writing = os.pipe()
    code = (
        "from onlooker.piped_process import Signs\n"
        "signs = Signs()\n"
        "for _ in range(100_000): signs.give(b'more than a pipe holds')\n"
    )
    with os.fdopen(reading), os.fdopen(writing, "wb") as output:
        path = os.pathsep.join(sys.path)
        environment = {**os.environ, "PYTHONPATH": path}
        subprocess.run(
            [sys.executable, "-c", code], stdout=output, check=True, timeout=60, env=environment
        )
