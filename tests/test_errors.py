"""Every error that a user can mend is an OnlookerError; the others are known by name."""

import ast
from pathlib import Path

import onlooker

PACKAGE = Path(onlooker.__file__).parent

INTERNAL = {
    "FrameGone": "a slot of the ring was written again; the frame is leased again",
    "MessageError": "a damaged message between processes; the sender is dropped",
    "ReaderDied": "a defect in a camera's thread; the source starts again",
    "StopRequested": "the order to stop, on its way up a process",
}
"""Exceptions that some caller handles and no user sees."""

BUILT_IN = {"Exception", "ValueError", "RuntimeError", "OSError", "LookupError", "BaseException"}


def classes() -> dict[str, set[str]]:
    """Return the bases of every public class of the package by its name."""
    return {
        node.name: {ast.unparse(base).rpartition(".")[2] for base in node.bases}
        for path in [*PACKAGE.rglob("*.py"), *PACKAGE.rglob("*.pyi")]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    }


def test_every_exception_is_expected_or_internal() -> None:
    bases = classes()

    def ancestors(name: str) -> set[str]:
        above = bases.get(name, set())
        return above.union(*map(ancestors, above))

    exceptions = {name for name in bases if ancestors(name) & BUILT_IN}
    expected = {name for name in exceptions if "OnlookerError" in ancestors(name)}
    assert len(expected) >= 15
    assert exceptions - expected == INTERNAL.keys() | {"OnlookerError"}
