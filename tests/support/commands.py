"""The command line, in a process of its own."""

import os
import select
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

ONLOOKER = [sys.executable, "-m", "onlooker"]


def environment(data: Path) -> dict[str, str]:
    """Return the environment of a command whose collections are in `data`, for plain output."""
    return {**os.environ, "ONLOOKER_DATA": str(data), "NO_COLOR": "1", "COLUMNS": "200"}


def onlooker(*words: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    """Run `onlooker WORDS` in `cwd`, where its data folder is too."""
    return subprocess.run(
        [*ONLOOKER, *words],
        cwd=cwd,
        env=environment(cwd / "data"),
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def pipe_that_is_full() -> tuple[int, int]:
    """Return both ends of a pipe into which nothing can be written until somebody reads."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writer, b"\n" * select.PIPE_BUF)
    os.set_blocking(writer, True)
    return reader, writer
