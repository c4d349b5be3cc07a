"""The consoles of the commands: results to stdout, complaints to stderr."""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

STDOUT = Path("-")
"""The name of standard output, for options that take a file to write."""

# No markup: names, paths and text that was read in an image are printed as they are.
console = Console(markup=False, emoji=False, highlight=False)
"""Tables and progress, wrapped to the width of the terminal."""
plain = Console(markup=False, emoji=False, highlight=False, soft_wrap=True)
"""Single lines with paths in them, which stay whole."""
complaints = Console(stderr=True, markup=False, emoji=False, highlight=False, soft_wrap=True)
"""Errors and warnings."""


def counted(number: int, one: str, many: str | None = None) -> str:
    """Return a number with its noun, such as "1 face" or "2 faces".

    many: the plural, if it is not the singular with an s, as "faces are".
    """
    return f"{number} {one if number == 1 else many or f'{one}s'}"


@contextmanager
def stdout_for_results() -> Iterator[None]:
    """Have what is said meanwhile go to stderr: results that a program reads are on stdout."""
    console.stderr = plain.stderr = True
    try:
        yield
    finally:
        console.stderr = plain.stderr = False


def command() -> str:
    """Return how the user calls this program, for advice: "onlooker", or its path if need be."""
    called, found = Path(sys.argv[0]), shutil.which("onlooker")
    if called.name != "onlooker" or (found is not None and called.samefile(found)):
        return "onlooker"
    return str(called)
