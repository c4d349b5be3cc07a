"""An Annoy file: trees over the faces of a collection up to some change number.

It only names candidates, fast; how near they are is for the exact scan to say. The file is
derived from the store and may be deleted at any time. All processes map the same one. It is
replaced as a whole: written under a new name, forced to the disk, and only then named by its
manifest, which holds its checksum. What does not agree with its checksum is never mapped: Annoy
believes what it reads, and would follow a flipped bit out of the file.
"""

import fcntl
import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
from annoy import AnnoyIndex

from onlooker.identity.rows import Metric, Numbers, Vectors, View

TREES = 50
VISITED_LEAST = 10_000
VISITED_PART = 0.3
"""Faces that a search looks at: so many, and this part of all. It finds more than 95 % of the ten
nearest, of 10 000 faces as of 400 000 (`bench/bench_scan.py`)."""
STALE = 0.2
"""Part of the faces that may be added or deleted before the file is made anew."""
SMALL = 1000
"""Changes that never make a new file: the exact scan takes them in its stride."""
SAMPLES = 16

ANNOY_METRICS: dict[Metric, Literal["angular", "euclidean"]] = {
    "cosine": "angular",
    "euclidean": "euclidean",
}


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What stands beside an Annoy file."""

    number: int
    """Faces up to this change number are in the trees."""
    dim: int
    metric: Metric
    file: str
    sha256: str
    """Of the file."""
    numbers: bytes
    """Little-endian int64: the face's change number of each of Annoy's items."""


class Forest:
    """Names candidates among the faces up to change number `number`."""

    def __init__(self, manifest: Manifest, folder: Path) -> None:
        self.number = manifest.number
        self.file = manifest.file
        self._numbers: Numbers = np.frombuffer(manifest.numbers, dtype="<i8").astype(np.int64)
        self._trees = AnnoyIndex(manifest.dim, ANNOY_METRICS[manifest.metric])
        self._trees.load(str(folder / manifest.file))

    def candidates(self, query: Vectors, k: int, view: View) -> Numbers:
        """Numbers of the k or more faces that seem nearest to `query` (dim,)."""
        # Dead ones are still in the trees and must not take the place of the living.
        count = k + self._dead(view)
        visited = VISITED_LEAST + int(VISITED_PART * len(self._numbers))
        items = self._trees.get_nns_by_vector(query, count, search_k=visited)
        return self._numbers[items]

    def is_stale(self, view: View) -> bool:
        """Whether so much has changed that new trees pay."""
        changed = len(view.after(self.number).numbers) + self._dead(view)
        return changed > max(SMALL, STALE * len(self._numbers))

    def is_of(self, view: View) -> bool:
        """Whether the trees hold the vectors of `view`, by some samples of those in both."""
        common = np.flatnonzero(np.isin(self._numbers, view.numbers))
        items = common[:: max(1, len(common) // SAMPLES)]
        rows = np.searchsorted(view.numbers, self._numbers[items])
        held = [self._trees.get_item_vector(int(item)) for item in items]
        return len(items) > 0 and np.array_equal(view.vectors[rows], held)

    def _dead(self, view: View) -> int:
        after = view.after(self.number)
        alive = int(np.count_nonzero(view.live)) - int(np.count_nonzero(after.live))
        return len(self._numbers) - alive


def renew(place: Path, view: View, metric: Metric) -> Forest | None:
    """The forest at `place`, made anew if it is not there, not whole, not of `view` or stale.

    None while another process makes it. OSError where it cannot be written.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    with _alone(place) as alone:
        if not alone:
            return None
        forest = _load(place, view, metric)
        if forest is None or forest.is_stale(view):
            forest = _build(place, view, metric)
        # Older ones, and one that a process was killed over before its manifest named it.
        for file in place.parent.glob(f"{place.name}-*.ann"):
            if file.name != forest.file:
                file.unlink()
        return forest


def _load(place: Path, view: View, metric: Metric) -> Forest | None:
    manifest = _read(place)
    if manifest is None or (manifest.dim, manifest.metric) != (view.vectors.shape[1], metric):
        return None
    file = place.parent / manifest.file
    if not file.is_file() or _digest(file) != manifest.sha256:
        return None
    forest = Forest(manifest, place.parent)
    return forest if forest.is_of(view) else None


def _build(place: Path, view: View, metric: Metric) -> Forest:
    alive = view.live == 1
    trees = AnnoyIndex(view.vectors.shape[1], ANNOY_METRICS[metric])
    trees.set_seed(1)
    for item, vector in enumerate(view.vectors[alive]):
        trees.add_item(item, vector.tolist())
    trees.build(TREES)
    # A new name for each: the old file stays as it is for those who have mapped it.
    file = place.with_name(f"{place.name}-{secrets.token_hex(8)}.ann")
    try:
        trees.save(str(file))
        _to_disk(file)
        manifest = Manifest(
            number=int(view.numbers[-1]),
            dim=view.vectors.shape[1],
            metric=metric,
            file=file.name,
            sha256=_digest(file),
            numbers=view.numbers[alive].astype("<i8").tobytes(),
        )
        _write(place, manifest)
    except OSError:
        file.unlink(missing_ok=True)  # a part of it would only keep the disk full
        raise
    return Forest(manifest, place.parent)


def _read(place: Path) -> Manifest | None:
    """The manifest, behind its own checksum; None where there is none that agrees with it."""
    try:
        data = place.with_suffix(".manifest").read_bytes()
    except FileNotFoundError:
        return None
    digest, body = data[:32], data[32:]
    if hashlib.sha256(body).digest() != digest:
        return None
    try:
        return msgspec.msgpack.decode(body, type=Manifest)
    except msgspec.DecodeError:  # whole, but another version's
        return None


def _write(place: Path, manifest: Manifest) -> None:
    body = msgspec.msgpack.encode(manifest)
    new = place.with_suffix(".new")
    new.write_bytes(hashlib.sha256(body).digest() + body)
    _to_disk(new)
    new.rename(place.with_suffix(".manifest"))
    _to_disk(place.parent)


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


@contextmanager
def _alone(place: Path) -> Iterator[bool]:
    """Whether no other process is making the forest at `place`; none will while this lasts."""
    with place.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
