"""The choice of what stores and searches collections."""

from pathlib import Path

from onlooker.identity.errors import not_found
from onlooker.identity.search.searcher import Searcher
from onlooker.identity.search.store_searcher import StoreSearcher
from onlooker.models.card import Space


def open_searcher(
    path: Path, space: Space, url: str | None = None, *, finish_seconds: float = 0.0
) -> Searcher:
    """Open the store at `path`, or at `url`; it is created if there is none. Raises StoreError.

    url: of a database of PostgreSQL, as in `[store]`; None means the file.

    `close` waits up to `finish_seconds` for index files that are being built, and ends the rest.
    """
    return StoreSearcher(path, space, url, finish_seconds=finish_seconds)


def check_collection(path: Path, space: Space, name: str, url: str | None = None) -> None:
    """Raise CollectionNotFound unless the store, which is not created as a file, has `name`.

    Raises StoreError.
    """
    if url is None and not path.exists():
        raise not_found(name)
    with open_searcher(path, space, url) as searcher:
        searcher.collection(name)
