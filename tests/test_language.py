"""Docstrings and messages are in the words of docs/language.md."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("pipeline/onlooker", "bench", "models/training")

STILL_TO_DO = (
    "pipeline/onlooker/api",
    "pipeline/onlooker/child_process.py",
    "pipeline/onlooker/identity",
    "pipeline/onlooker/stream",
    "pipeline/onlooker/vision",
)
"""Places that are still to be rewritten; the list only gets shorter."""

CLAUSES = ("What", "Where", "Whether", "How", "Which", "Who", "When", "That")
"""Words that begin a free relative clause."""

DIALECT = re.compile(
    r"\b(gone on with|go on with|put aside|put away|be it|of late|told of|said of|looked? at"
    r"|that (?:is|are) none|so many|anew|ever other"
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
                        if not place.startswith(STILL_TO_DO):
                            yield place, text, node


def strings() -> Iterator[tuple[str, str]]:
    """Yield the place and the text of every string and comment."""
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py*")):
            if path.suffix in {".py", ".pyi", ".pyx"}:
                for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
                    place = f"{path.relative_to(ROOT)}:{number}"
                    if not place.startswith(STILL_TO_DO):
                        yield place, line


def test_no_docstring_is_a_relative_clause() -> None:
    found = list(docstrings())
    assert len(found) > 500
    assert [place for place, text, _ in found if text.split()[0] in CLAUSES] == []


def test_a_functions_docstring_is_imperative() -> None:
    nouns = ("The", "A", "An", "All", "Those", "Its", "Every", "Each", "One", "It", "As")
    assert [
        place
        for place, text, node in docstrings()
        if isinstance(node, ast.FunctionDef)
        and text.split()[0] in nouns
        and not any("property" in ast.unparse(each) for each in node.decorator_list)
    ] == []


def test_no_text_is_in_dialect() -> None:
    assert [f"{place} {line.strip()}" for place, line in strings() if DIALECT.search(line)] == []
