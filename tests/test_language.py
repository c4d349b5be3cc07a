"""Docstrings and messages are in the words of docs/language.md."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("pipeline/onlooker", "bench", "models/training")

CLAUSES = ("What", "Where", "How", "Which", "Who", "When", "That")
"""Words that begin a free relative clause."""

DIALECT = re.compile(
    r"\b(gone on with|go on with|put aside|put away|be it|of late|told of|said of|looked? at"
    r"|that are none|built anew|made anew|ever other"
    r"|strangers?|buried|buries|farewell|introduces? (?:it|them)sel\w+|films?)\b",
    re.IGNORECASE,
)
"""Words that docs/language.md has others for."""


def docstrings() -> Iterator[tuple[str, str, ast.AST]]:
    """Yield the place, the text and the owner of every docstring."""
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            for node in ast.walk(tree):
                if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                    text = ast.get_docstring(node)
                    if text:
                        place = f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}"
                        yield place, text, node


def lines() -> Iterator[tuple[str, str]]:
    """Yield the place and the text of every line of the sources and pages."""
    sources = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py*")]
    paths = [path for path in sources if path.suffix in {".py", ".pyi"}]
    paths += (ROOT / "ext").rglob("*.pyx")
    paths += [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
    for path in sorted(paths):
        if path.name != "language.md":
            for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
                yield f"{path.relative_to(ROOT)}:{number}", line


def test_no_docstring_is_a_relative_clause() -> None:
    found = list(docstrings())
    assert len(found) > 1000
    assert [place for place, text, _ in found if text.split()[0] in CLAUSES] == []


def test_a_functions_docstring_is_imperative() -> None:
    nouns = ("Whether", "The", "A", "An", "All", "Those", "Its", "Every", "Each", "One", "It", "As")
    assert [
        place
        for place, text, node in docstrings()
        if isinstance(node, ast.FunctionDef)
        and text.split()[0] in nouns
        and not any("property" in ast.unparse(each) for each in node.decorator_list)
    ] == []


def test_no_text_is_in_dialect() -> None:
    found = list(lines())
    assert len(found) > 20_000
    assert [f"{place} {line.strip()}" for place, line in found if DIALECT.search(line)] == []
