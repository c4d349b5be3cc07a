"""The consoles of the commands: results to stdout, complaints to stderr."""

from rich.console import Console

# No markup: names, paths and text that was read in an image are printed as they are.
console = Console(markup=False, emoji=False, highlight=False)
"""Tables and progress, wrapped to the width of the terminal."""
plain = Console(markup=False, emoji=False, highlight=False, soft_wrap=True)
"""Single lines with paths in them, which stay whole."""
complaints = Console(stderr=True, markup=False, emoji=False, highlight=False, soft_wrap=True)
"""Errors and warnings."""
