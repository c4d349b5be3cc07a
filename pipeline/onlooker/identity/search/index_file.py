"""A file of a collection's vectors up to some change number, for all processes to map.

It is derived from the store and may be deleted at any time. Processes that map it share its
memory, and are ready as soon as they have read it once. It is replaced as a whole: written under
a new name, forced to the disk, and only then named by its manifest, which holds its checksums.
What does not agree with them is not used. Where the collection is searched by Annoy an Annoy file
over the same vectors lies beside it: Annoy believes what it reads, and would follow a flipped bit
out of the file.
"""

import fcntl
import hashlib
import mmap
import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np
from annoy import AnnoyIndex
from numpy.typing import NDArray

from onlooker.identity.faces import Kind
from onlooker.identity.search import quantized
from onlooker.identity.search.vectors import Metric, Numbers, Vectors, View, turned

PIECE = 1 << 24
"""Bytes under one checksum."""
CHUNK = 20_000
"""Rows that are written at a time."""
TREES = 50
VISITED_LEAST = 10_000
VISITED_PART = 0.3
"""Faces that a search by Annoy looks at: so many, and this part of all."""
ENDINGS = (".vectors", ".ann")

ANNOY_METRICS: dict[Metric, Literal["angular", "euclidean"]] = {
    "cosine": "angular",
    "euclidean": "euclidean",
}


class Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file that the manifest names."""

    file: str
    size: int
    digests: tuple[bytes, ...]
    """SHA-256 of each PIECE."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What stands beside the files."""

    key: str
    """The store's."""
    number: int
    """Faces up to this change number are in it."""
    count: int
    dim: int
    metric: Metric
    vectors: Part
    trees: Part | None


class Trees(NamedTuple):
    """Annoy over the rows of a snapshot."""

    annoy: AnnoyIndex

    def candidates(self, query: Vectors, k: int, view: View) -> Numbers:
        """Numbers of the k or more faces that seem nearest to `query` (dim,)."""
        # Dead ones are still in the trees and must not take the place of the living.
        count = k + len(view.live) - int(np.count_nonzero(view.live))
        visited = VISITED_LEAST + int(VISITED_PART * len(view.numbers))
        return view.numbers[self.annoy.get_nns_by_vector(query, count, search_k=visited)]


class Snapshot(NamedTuple):
    """A file as it is mapped."""

    manifest: Manifest
    view: View
    trees: Trees | None


def place_of(folder: Path, collection: str, model: str, kind: Kind) -> Path:
    """Where the files of a collection are, without a suffix. Any name fits into a digest."""
    name = f"{collection}|{model}|{kind}".encode()
    return folder / "index" / hashlib.sha256(name).hexdigest()[:32]


def load(place: Path, key: str, metric: Metric) -> Snapshot | None:
    """What lies at `place`; None unless it is whole, and of this store. OSError."""
    manifest = read_manifest(place)
    if manifest is None or (manifest.key, manifest.metric) != (key, metric):
        return None
    try:
        if not _are_whole(place, manifest):
            return None
        view = _mapped(place.parent / manifest.vectors.file, manifest)
        trees = None
        if manifest.trees is not None:
            trees = _open_trees(place.parent / manifest.trees.file, manifest)
    except FileNotFoundError:  # replaced this moment, or lost
        return None
    return Snapshot(manifest, view, trees)


def is_damaged(place: Path) -> bool:
    """Whether there is something at `place` that is not whole. OSError."""
    manifest = read_manifest(place)
    if manifest is None:
        return place.with_suffix(".manifest").exists()
    return not _are_whole(place, manifest)


def write(
    place: Path, key: str, number: int, views: list[View], metric: Metric, with_trees: bool
) -> None:
    """Put the live rows of `views` in the place of what was there; only within `alone`. OSError."""
    count = sum(int(np.count_nonzero(view.live)) for view in views)
    dim = next(view.vectors.shape[1] for view in views if len(view.numbers))
    # New names: the old files stay as they are for those who have mapped them.
    new = place.with_name(f"{place.name}-{secrets.token_hex(8)}")
    files = [new.with_name(new.name + ending) for ending in ENDINGS]
    try:
        with files[0].open("xb") as opened:
            opened.writelines(_contents(views, count, dim, metric))
        vectors = _part(files[0])
        trees = None
        if with_trees:
            _plant(files[1], views, dim, metric)
            trees = _part(files[1])
        manifest = Manifest(
            key=key,
            number=number,
            count=count,
            dim=dim,
            metric=metric,
            vectors=vectors,
            trees=trees,
        )
        _write_manifest(place, manifest)
    except OSError:
        for file in files:  # a part of it would only keep the disk full
            file.unlink(missing_ok=True)
        raise
    tidy(place, manifest)


def tidy(place: Path, manifest: Manifest | None) -> None:
    """Delete files that `manifest` does not name: older ones, and what a killed process left."""
    parts = (manifest.vectors, manifest.trees) if manifest else ()
    named = {part.file for part in parts if part is not None}
    for ending in ENDINGS:
        for file in place.parent.glob(f"{place.name}-*{ending}"):
            if file.name not in named:
                file.unlink(missing_ok=True)


def forget(place: Path) -> None:
    """Delete all that is at `place`."""
    place.with_suffix(".manifest").unlink(missing_ok=True)
    tidy(place, None)


@contextmanager
def alone(place: Path) -> Iterator[None]:
    """Wait until no other process is writing at `place`; none will while this lasts. OSError."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def read_manifest(place: Path) -> Manifest | None:
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


def _write_manifest(place: Path, manifest: Manifest) -> None:
    body = msgspec.msgpack.encode(manifest)
    new = place.with_suffix(".new")
    new.write_bytes(hashlib.sha256(body).digest() + body)
    to_disk(new)
    new.rename(place.with_suffix(".manifest"))
    to_disk(place.parent)


def _contents(views: list[View], count: int, dim: int, metric: Metric) -> Iterator[bytes]:
    """Numbers, vectors and codes, one after the other: what `_mapped` finds."""

    def chunks(take: Callable[[View], NDArray[Any]]) -> Iterator[NDArray[Any]]:
        for view in views:
            alive = np.flatnonzero(view.live)
            for start in range(0, len(alive), CHUNK):
                yield take(view)[alive[start : start + CHUNK]]

    for numbers in chunks(lambda view: view.numbers):
        yield numbers.astype("<i8").tobytes()
    for vectors in chunks(lambda view: view.vectors):
        yield vectors.astype("<f4").tobytes()
    if metric == "cosine":
        codes, first = quantized.space(count, dim), 0
        for vectors in chunks(lambda view: view.vectors):
            quantized.write(codes, first, turned(vectors))
            first += len(vectors)
        yield codes.tobytes()


def _mapped(file: Path, manifest: Manifest) -> View:
    count, dim = manifest.count, manifest.dim
    data = np.memmap(file, np.uint8, "r")
    bounds = np.cumsum([0, 8 * count, 4 * count * dim])
    numbers, vectors, rest = (
        np.asarray(data[start:end])
        for start, end in zip(bounds, [*bounds[1:], len(data)], strict=True)
    )
    codes = None
    if manifest.metric == "cosine" and quantized.fast():
        codes = rest.reshape(-1, *quantized.space(0, dim).shape[1:])
    return View(
        numbers.view("<i8"),
        vectors.view("<f4").reshape(count, dim),
        np.ones(count, np.uint8),
        codes,
    )


def _plant(file: Path, views: Iterable[View], dim: int, metric: Metric) -> None:
    annoy = AnnoyIndex(dim, ANNOY_METRICS[metric])
    annoy.set_seed(1)
    item = 0
    for view in views:
        for row in np.flatnonzero(view.live):
            annoy.add_item(item, view.vectors[row].tolist())
            item += 1
    annoy.build(TREES)
    annoy.save(str(file))


def _open_trees(file: Path, manifest: Manifest) -> Trees:
    annoy = AnnoyIndex(manifest.dim, ANNOY_METRICS[manifest.metric])
    annoy.load(str(file))
    return Trees(annoy)


def _part(file: Path) -> Part:
    to_disk(file)
    digests = _digests(file)
    return Part(file=file.name, size=file.stat().st_size, digests=digests)


def _are_whole(place: Path, manifest: Manifest) -> bool:
    for part in (manifest.vectors, manifest.trees):
        if part is not None:
            file = place.parent / part.file
            if not file.is_file() or file.stat().st_size != part.size:
                return False
            if _digests(file) != part.digests:
                return False
    return True


def _digests(file: Path) -> tuple[bytes, ...]:
    with (
        file.open("rb") as opened,
        mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as data,
        memoryview(data) as whole,
        ThreadPoolExecutor(2) as pool,  # SHA-256 lets other threads run meanwhile
    ):

        def digest(start: int) -> bytes:
            with whole[start : start + PIECE] as piece:
                return hashlib.sha256(piece).digest()

        return tuple(pool.map(digest, range(0, len(whole), PIECE)))


def to_disk(path: Path) -> None:
    """Force a file or a folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
