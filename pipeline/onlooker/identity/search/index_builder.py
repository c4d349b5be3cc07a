"""Writing the file that searches of a collection map, in a process of its own.

    python -m onlooker.identity.search.index_builder STORE COLLECTION MODEL METRIC KIND

Whoever searches starts it when so much has changed that it pays, and neither searches nor inserts
wait for it. It may be killed at any time: the old file is in its place until the new one is whole.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import cast

from onlooker.errors import OnlookerError
from onlooker.identity import changes
from onlooker.identity.errors import CollectionNotFound, StoreError
from onlooker.identity.faces import Kind
from onlooker.identity.search import index_file
from onlooker.identity.search.replica import Mirror
from onlooker.identity.search.vectors import Metric
from onlooker.identity.store import Store

POLITENESS = 10


class BuildError(OnlookerError):
    """The process that was to write the file failed; the text is what it said."""


def build(store: Store, collection: str, model: str, metric: Metric, kind: Kind) -> None:
    """Write the file anew if that pays; one process at a time. StoreError, OSError."""
    place = index_file.place_of(store.path.parent, collection, model, kind)
    with index_file.alone(place):
        mirror = Mirror(store, collection, model, metric, kind)
        if not mirror.is_stale():
            index_file.tidy(place, index_file.read_manifest(place))
            return
        views = mirror.views()
        parts = [view for view in (views.mapped, views.recent) if view is not None]
        if not len(mirror):
            index_file.forget(place)
            return
        annoy = mirror.method == "annoy"
        index_file.write(place, store.key, mirror.number, parts, metric, annoy)
        try:
            changes.last(store.database, collection)
        except CollectionNotFound:  # deleted meanwhile, and its files are to be gone
            index_file.forget(place)
            raise


def in_another_process(
    store: Path, collection: str, model: str, metric: Metric, kind: Kind
) -> None:
    """`build`, and wait for it; BuildError."""
    # A session of its own: what interrupts the one that asked does not interrupt it.
    done = subprocess.run(
        [sys.executable, "-m", __name__, str(store), collection, model, metric, kind],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        start_new_session=True,
        check=False,
    )
    if done.returncode:
        raise BuildError(done.stderr.decode(errors="replace").strip() or f"code {done.returncode}")


def main() -> int:
    os.nice(POLITENESS)
    path, collection, model, metric, kind = sys.argv[1:]
    try:
        with Store(Path(path)) as store:
            build(store, collection, model, cast(Metric, metric), cast(Kind, kind))
    except (StoreError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
