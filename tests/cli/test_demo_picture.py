"""The README's picture: what `onlooker demo` prints.

    python -m pytest tests/cli/test_demo_picture.py

compares the picture with what the demo prints here; with ONLOOKER_DRAW=1 it draws it again.
"""

import html
import io
import os
import re
import subprocess
from pathlib import Path

from rich.console import Console
from tests.support.commands import ONLOOKER, environment

PICTURE = Path(__file__).resolve().parents[2] / ".github" / "summary.svg"
WIDTH = 78
COLUMNS = 4
"""Columns that are the same on every processor: kind, text, first and last second."""


def printed(folder: Path) -> str:
    """Return what the demo prints in a terminal of WIDTH characters."""
    done = subprocess.run(
        [*ONLOOKER, "demo", "--folder", "demo"],
        cwd=folder,
        env={**environment(folder / "data"), "COLUMNS": str(WIDTH)},
        capture_output=True,
        text=True,
        timeout=280,
        check=True,
    )
    return done.stdout


def summary(text: str) -> str:
    """Return the summary in what the demo prints."""
    lines = text.splitlines()
    last = next(number for number, line in enumerate(lines) if line.startswith("└"))
    first = next(number for number, line in enumerate(lines) if " faces" in line)
    return "\n".join(line.rstrip() for line in lines[first : last + 1])


def drawn(text: str) -> str:
    """Return the picture of a text, which loads nothing from elsewhere."""
    console = Console(width=WIDTH, record=True, file=io.StringIO())
    console.print(text, markup=False, highlight=False)
    svg = console.export_svg(title="onlooker demo", unique_id="demo")
    return re.sub(r",\s*url\([^)]*\) format\(\"woff2?\"\)", "", svg)


def rows(text: str) -> list[list[str]]:
    """Return the cells of the table's rows; a text of several lines is one cell."""
    found: list[list[str]] = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in re.split("[│┃]", line)[1:-1]][:COLUMNS]
        if len(cells) == COLUMNS and not cells[0] and found:
            found[-1][1] += " " + cells[1]
        elif len(cells) == COLUMNS:
            found.append(cells)
    return found


def pictured() -> str:
    """Return the text of the picture, line by line."""
    lines: dict[float, dict[float, str]] = {}
    for x, y, text in re.findall(
        r'<text[^>]* x="([\d.]+)" y="([\d.]+)"[^>]*>([^<]*)</text>', PICTURE.read_text("utf-8")
    ):
        lines.setdefault(float(y), {})[float(x)] = html.unescape(text).replace("\xa0", " ")
    return "\n".join("".join(lines[y][x] for x in sorted(lines[y])).rstrip() for y in sorted(lines))


def test_the_picture_shows_what_the_demo_prints(tmp_path: Path) -> None:
    # The demo has settings of its own: it does not read these, of which it could make nothing.
    (tmp_path / "onlooker.toml").write_text("[match]\ncollection = 7\n")
    whole = printed(tmp_path)
    assert whole.splitlines()[-1] == "in a browser    onlooker demo --open"
    assert not (tmp_path / "data").exists(), "nothing of the demo is the user's"
    text = summary(whole)
    if os.environ.get("ONLOOKER_DRAW"):
        PICTURE.write_text(drawn(text), "utf-8")
    assert rows(pictured()) == rows(text)
    kinds = [kind for kind, *_ in rows(text)]
    assert kinds.count("who") == 1, "one visit is one row"
    assert [line for _, line, *_ in rows(text)].count("YAMAHA") == 1, "one sign is one row"
