"""The process that writes the index file of a collection.

    python -m onlooker.identity.search.index_builder STORE COLLECTION MODEL METRIC KIND

A search starts it when enough has changed for a new file to pay; no search and no insert waits for
it. It may be killed at any time: the old file stays in use until the new one is complete. Its
standard input is a pipe from the process that started it, with which it ends. The first line there
is the URL of a database, which may have a password, or empty.
"""

import os
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import cast

from onlooker import child_process
from onlooker.errors import OnlookerError
from onlooker.identity import changes, index_paths
from onlooker.identity.errors import CollectionNotFound, StoreError
from onlooker.identity.faces import Kind, Metric
from onlooker.identity.search import index_file
from onlooker.identity.search.replica import Replica
from onlooker.identity.store import Store

MODULE = "onlooker.identity.search.index_builder"
NICENESS = 10
MAX_BUILDERS = 2
"""Builders that one process runs at a time; further ones wait for their turn."""

_turns = threading.BoundedSemaphore(MAX_BUILDERS)


class BuildError(OnlookerError):
    """The builder failed; the text is its message."""


def build(store: Store, collection: str, model: str, metric: Metric, kind: Kind) -> None:
    """Write the file if a new one pays; one process at a time does. Raises StoreError, OSError."""
    base = index_paths.base_path(store.index_folder, collection, model, kind)
    with index_file.locked(base):
        replica = Replica(store, collection, model, metric, kind)
        if not replica.is_stale():
            manifest = index_file.read_manifest(base)
            index_paths.remove_unused(base, manifest.files if manifest else ())
            return
        if not len(replica):
            index_paths.remove(base)
            return
        views = replica.views()
        parts = [view for view in (views.mapped, views.recent) if view is not None]
        annoy = replica.method == "annoy"
        index_file.write(base, replica.key, replica.number, parts, metric, annoy)
        try:
            changes.last(store.database, collection)
        except CollectionNotFound:  # deleted meanwhile, so its files must go too
            index_paths.remove(base)
            raise


class Builder:
    """A builder process for a collection of the store at `path`, or at `url`."""

    def __init__(
        self,
        path: Path,
        collection: str,
        model: str,
        metric: Metric,
        kind: Kind,
        url: str | None = None,
    ) -> None:
        self._arguments = (str(path), collection, model, metric, kind)
        self._url = url or ""
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = False

    def run(self) -> None:
        """Run `build` in the process and wait for its end. Raises BuildError.

        Returns at once if `stop` was called, before or meanwhile.
        """
        with _turns:
            with self._lock:
                if self._stopped:
                    return
                # A session of its own: Ctrl-C is for the process that started it.
                self._process = subprocess.Popen(
                    child_process.command(MODULE, *self._arguments),
                    env=child_process.environment(),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    start_new_session=True,
                )
            with self._process as process:
                assert process.stderr is not None
                assert process.stdin is not None
                with suppress(BrokenPipeError):  # it has ended, and stderr says why
                    process.stdin.write(f"{self._url}\n".encode())
                    process.stdin.flush()
                message = process.stderr.read()
            if process.returncode and not self._stopped:
                text = message.decode(errors="replace").strip()
                raise BuildError(text or f"the index builder ended with code {process.returncode}")

    def stop(self) -> None:
        """End the process now, or prevent its start."""
        with self._lock:
            self._stopped = True
            if self._process is not None:
                self._process.kill()


def main() -> int:
    os.nice(NICENESS)
    url = sys.stdin.readline().strip() or None
    threading.Thread(target=_end_with_parent, daemon=True).start()
    path, collection, model, metric, kind = sys.argv[1:]
    try:
        with Store(Path(path), url) as store:
            build(store, collection, model, cast(Metric, metric), cast(Kind, kind))
    except (StoreError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _end_with_parent() -> None:
    """Wait for the end of standard input, and end the process without further ado."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
