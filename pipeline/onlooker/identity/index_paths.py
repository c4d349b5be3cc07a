"""The places of a collection's search files, and their removal.

Apart from `onlooker.identity.search`, because the store removes the files of a collection that it
deletes, and the search stands on the store.
"""

import hashlib
import re
from collections.abc import Collection
from pathlib import Path

from onlooker.identity.faces import Kind

SUFFIXES = (".vectors", ".ann")
NAME = re.compile(r"\.?[0-9a-f]{32}(-[0-9a-f]+)?\..*")
"""Form of the names of all search files, locks and manifests that were never completed."""


def base_path(folder: Path, collection: str, model: str, kind: Kind) -> Path:
    """Return the path, without a suffix, of a collection's files. Any name fits into a digest."""
    name = f"{collection}|{model}|{kind}".encode()
    return folder / "index" / hashlib.sha256(name).hexdigest()[:32]


def remove(base: Path) -> None:
    """Remove all files at `base`. Raises OSError."""
    base.with_suffix(".manifest").unlink(missing_ok=True)
    remove_unused(base, ())


def remove_unused(base: Path, used: Collection[str]) -> None:
    """Remove files at `base` whose names are not in `used`: older ones, and a killed process's.

    Only while no other process writes there, or for a collection that is gone. Raises OSError.
    """
    for suffix in SUFFIXES:
        for file in base.parent.glob(f"{base.name}-*{suffix}"):
            if file.name not in used:
                file.unlink(missing_ok=True)
    for file in base.parent.glob(f".{base.name}.*"):  # manifests that were never completed
        file.unlink(missing_ok=True)


def remove_all(folder: Path) -> None:
    """Remove the search files of all collections, while no process uses them. Raises OSError."""
    for file in (folder / "index").glob("*"):
        if NAME.fullmatch(file.name):
            file.unlink(missing_ok=True)
