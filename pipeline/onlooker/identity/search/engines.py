"""The choice of what stores and searches collections."""

from pathlib import Path

from onlooker.identity.errors import not_found
from onlooker.identity.search.searcher import Searcher
from onlooker.identity.search.sqlite_searcher import SqliteSearcher
from onlooker.models.card import Space


def open_searcher(path: Path, space: Space, *, finish_seconds: float = 0.0) -> Searcher:
    """Open the store at `path`, which is created if there is none. Raises StoreError.

    `close` waits up to `finish_seconds` for index files that are being built, and ends the rest.
    """
    return SqliteSearcher(path, space, finish_seconds=finish_seconds)


def check_collection(path: Path, space: Space, name: str) -> None:
    """Raise CollectionNotFound unless the store at `path`, which is not created, has `name`.

    Raises StoreError.
    """
    if not path.exists():
        raise not_found(name)
    with open_searcher(path, space) as searcher:
        searcher.collection(name)
