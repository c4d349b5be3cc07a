"""The places of a collection's search files, and their removal.

They are in a folder of the store: `index` beside its file. A database of PostgreSQL has a folder
there on each machine, which is called as its key.

Apart from `onlooker.identity.search`, because the store removes the files of a collection that it
deletes, and the search stands on the store.
"""

import hashlib
import logging
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from onlooker.identity.faces import KINDS, Kind

SUFFIXES = (".vectors", ".ann")
NAME = re.compile(r"\.?(?P<base>[0-9a-f]{32})(-[0-9a-f]+)?\..*")
"""Form of the names of all search files, locks and manifests that were never completed."""

logger = logging.getLogger(__name__)


def folder_of(store: Path) -> Path:
    """Return the folder of a store's search files."""
    return store.parent / "index"


def base_path(folder: Path, collection: str, model: str, kind: Kind) -> Path:
    """Return the path, without a suffix, of a collection's files. Any name fits into a digest."""
    name = f"{collection}|{model}|{kind}".encode()
    return folder / hashlib.sha256(name).hexdigest()[:32]


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
    _remove(file for file in folder.glob("*") if NAME.fullmatch(file.name))


def remove_collection(folder: Path, name: str, model: str) -> None:
    """Remove the files of a collection that is gone."""
    with _tried(folder):
        for kind in KINDS:
            remove(base_path(folder, name, model, kind))


def remove_gone(folder: Path, there: Sequence[tuple[str, str]]) -> None:
    """Remove the files of all collections but these, given by name and model.

    They may be of collections that were deleted on other machines.
    """
    names = {base_path(folder, *each, kind).name for each in there for kind in KINDS}
    with _tried(folder):
        _remove(
            file
            for file in folder.glob("*")
            if (found := NAME.fullmatch(file.name)) and found["base"] not in names
        )


@contextmanager
def _tried(folder: Path) -> Iterator[None]:
    """Log an OSError: what is gone from the store is gone, whether its files go or not."""
    try:
        yield
    except OSError as error:
        logger.warning("an old index file remains folder=%s error=%s", folder, error)


def _remove(files: Iterable[Path]) -> None:
    for file in files:
        file.unlink(missing_ok=True)
