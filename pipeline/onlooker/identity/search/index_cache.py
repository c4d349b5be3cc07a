"""The indexes of the collections that are searched: built once each, dropped when unused."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

IDLE_SECONDS = 900.0
"""Time without a search after which an index is dropped."""
MAX_BYTES = 2 << 30
"""Memory of all indexes, from which on the least recently used are dropped."""
SWEEP_SECONDS = 1.0
"""Time between checks of both."""


class Cached(Protocol):
    """A cached index."""

    @property
    def nbytes(self) -> int: ...

    def close(self, finish_seconds: float = 0.0) -> None: ...


K = TypeVar("K")
I = TypeVar("I", bound=Cached)  # noqa: E741


class _Entry(Generic[I]):
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.index: I | None = None
        self.used = 0.0


class IndexCache(Generic[K, I]):
    """Indexes by key, built by `build` when first asked for.

    Threads may use it together. While one index is built only threads that want this one wait. A
    thread may continue with an index that was dropped; it is closed without waiting for its work.
    """

    def __init__(
        self,
        build: Callable[[K], I],
        *,
        idle_seconds: float = IDLE_SECONDS,
        max_bytes: int = MAX_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._build = build
        self._idle_seconds = idle_seconds
        self._max_bytes = max_bytes
        self._clock = clock
        self._lock = threading.Lock()  # for _entries, never held while an index is built
        self._entries: OrderedDict[K, _Entry[I]] = OrderedDict()  # least recently used first
        self._next_sweep = 0.0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: K) -> I:
        """Return the index of `key`, building it if there is none. Raises what `build` raises."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                entry = self._entries[key] = _Entry()
            self._entries.move_to_end(key)
            entry.used = now = self._clock()
            unused = self._sweep(now) if now >= self._next_sweep else ()
        for each in unused:
            each.close()
        index = entry.index
        if index is None:
            with entry.lock:
                index = entry.index
                if index is None:
                    try:
                        index = entry.index = self._build(key)
                    except BaseException:
                        with self._lock:
                            if self._entries.get(key) is entry:
                                del self._entries[key]
                        raise
                    with self._lock:
                        dropped = self._entries.get(key) is not entry
                    if dropped:  # meanwhile, and nobody else would close it
                        index.close()
        return index

    def drop(self, key: K) -> None:
        """Drop the index of `key`, if there is one."""
        with self._lock:
            entry = self._entries.pop(key, None)
        if entry is not None and entry.index is not None:
            entry.index.close()

    def close(self, finish_seconds: float = 0.0) -> None:
        """Drop all indexes, after up to this many seconds for work that they have begun."""
        with self._lock:
            entries = list(self._entries.values())
            self._entries.clear()
        end = self._clock() + finish_seconds
        for entry in entries:
            if entry.index is not None:
                entry.index.close(max(0.0, end - self._clock()))

    def _sweep(self, now: float) -> list[I]:
        """Remove idle indexes, and unused ones while too much memory is in use; return them."""
        self._next_sweep = now + SWEEP_SECONDS
        removed = []
        total = sum(
            entry.index.nbytes for entry in self._entries.values() if entry.index is not None
        )
        while len(self._entries) > 1:  # the last one is in use
            key, entry = next(iter(self._entries.items()))
            if now - entry.used < self._idle_seconds and total <= self._max_bytes:
                break
            del self._entries[key]
            if entry.index is not None:
                total -= entry.index.nbytes
                removed.append(entry.index)
        return removed
