"""The shape of the tree: short files, few modules at the top, and no two modules of one name."""

from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "pipeline" / "onlooker"

MAX_LINES = 450
SOURCES = {".py", ".pyi", ".pyx", ".pxd", ".h"}

TOP = {
    "__init__": "the public names",
    "__main__": "python -m onlooker",
    "child_process": "processes of a run and of the server",
    "durable_file": "written by collections, logs, models and runs",
    "errors": "the root of all expected errors",
    "idempotency": "ClientRequestTokens of collections and of jobs",
    "page_token": "tokens of lists and of positions in the log",
    "types": "the nouns that travel",
}
"""Modules beside the packages, each because several packages need it."""

ROLES = {
    "errors": "the exceptions of a package",
    "faces": "vision finds them in an image, identity keeps them in a collection",
    "metrics": "the counters of a program, for Prometheus",
    "schema": "the structure of a file: the configuration, the face store, the log",
}
"""Names that several packages may have, because the module plays the same role in each."""


def files() -> list[Path]:
    """Return the source files of the project."""
    folders = ("pipeline", "ext", "models", "tests", "bench")
    found = [path for folder in folders for path in (ROOT / folder).rglob("*")]
    sources = [path for path in found if path.suffix in SOURCES]
    assert len(sources) > 200
    return [ROOT / "setup.py", *sources]


def modules() -> list[Path]:
    """Return the modules of the package."""
    found = [path for path in PACKAGE.rglob("*.py*") if path.suffix in {".py", ".pyi"}]
    assert len(found) > 100
    return found


def test_no_file_is_long() -> None:
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in files()}
    long = {path.relative_to(ROOT).as_posix() for path, n in lines.items() if n > MAX_LINES}
    assert not long


def test_the_top_has_few_modules() -> None:
    assert {path.stem for path in modules() if path.parent == PACKAGE} <= TOP.keys()


def test_no_two_modules_have_one_name() -> None:
    places = defaultdict(list)
    for path in modules():
        # A module of `cli` is named after its command.
        if path.stem != "__init__" and path.parent != PACKAGE / "cli":
            places[path.stem].append(path.relative_to(PACKAGE).as_posix())
    twice = {name: found for name, found in places.items() if len(found) > 1}
    assert not {name: found for name, found in twice.items() if name not in ROLES}


def test_every_package_says_what_it_holds() -> None:
    packages = [path.parent for path in modules() if path.stem == "__init__"]
    assert len(packages) > 10
    for package in packages:
        text = (package / "__init__.py").read_text(encoding="utf-8")
        assert text.startswith('"""'), package
