"""A file of a collection's vectors up to some change number, which all processes map.

It is derived from the store and may be deleted at any time. Processes that map it share its memory.
It is replaced as a whole: written under a new name, forced to the disk, and only then named by the
manifest, which holds its checksums. A file that does not match them is not used. If the collection
is searched by Annoy, an Annoy file over the same vectors lies beside it. Its checksum matters most:
Annoy does not validate what it reads, and would follow a flipped bit out of the file.
"""

import hashlib
import mmap
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

from onlooker import durable_file
from onlooker.identity import index_paths
from onlooker.identity.faces import Metric, Vectors
from onlooker.identity.search import quantized
from onlooker.identity.search.vectors import Numbers, View, rotated

CHECKSUM_BYTES = 1 << 24
"""Bytes under one checksum."""
CHUNK_ROWS = 20_000
"""Rows that are written at a time."""
TREES = 50
MIN_VISITED = 10_000
VISITED_SHARE = 0.3
"""Faces that a search by Annoy visits: MIN_VISITED, and this share of all."""

ANNOY_METRICS: dict[Metric, Literal["angular", "euclidean"]] = {
    "cosine": "angular",
    "euclidean": "euclidean",
}


class Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file that the manifest names."""

    file: str
    size: int
    digests: tuple[bytes, ...]
    """SHA-256 of each CHECKSUM_BYTES."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The description of the files that are in use."""

    key: str
    """The store's."""
    number: int
    """Faces up to this change number are in the file."""
    count: int
    dim: int
    metric: Metric
    vectors: Part
    trees: Part | None

    @property
    def files(self) -> set[str]:
        """Names of the files it belongs with."""
        return {part.file for part in (self.vectors, self.trees) if part is not None}


class Trees(NamedTuple):
    """Annoy over the rows of an index file."""

    annoy: AnnoyIndex

    def candidates(self, query: Vectors, k: int, view: View) -> Numbers:
        """Return the numbers of k or more faces that are probably nearest to `query` (dim,)."""
        # Deleted faces are still in the trees, and must not displace others.
        count = k + len(view.live) - int(np.count_nonzero(view.live))
        visited = MIN_VISITED + int(VISITED_SHARE * len(view.numbers))
        return view.numbers[self.annoy.get_nns_by_vector(query, count, search_k=visited)]


class IndexFile(NamedTuple):
    """A mapped file."""

    manifest: Manifest
    view: View
    trees: Trees | None


def load(base: Path, key: str, metric: Metric) -> IndexFile | None:
    """Map the files at `base`; None unless they are intact and of this store. Raises OSError."""
    manifest = read_manifest(base)
    if manifest is None or (manifest.key, manifest.metric) != (key, metric):
        return None
    try:
        if not _are_intact(base, manifest):
            return None
        view = _mapped(base.parent / manifest.vectors.file, manifest)
        trees = None
        if manifest.trees is not None:
            trees = _open_trees(base.parent / manifest.trees.file, manifest)
    except FileNotFoundError:  # replaced at this moment, or lost
        return None
    return IndexFile(manifest, view, trees)


def is_damaged(base: Path) -> bool:
    """Return whether there are files at `base` that are not intact. Raises OSError."""
    manifest = read_manifest(base)
    if manifest is None:
        return base.with_suffix(".manifest").exists()
    return not _are_intact(base, manifest)


def write(
    base: Path, key: str, number: int, views: list[View], metric: Metric, with_trees: bool
) -> None:
    """Replace the files at `base` by the live rows of `views`; only within `locked`.

    Raises OSError.
    """
    count = sum(int(np.count_nonzero(view.live)) for view in views)
    dim = next(view.vectors.shape[1] for view in views if len(view.numbers))
    # New names: processes that have mapped the old files keep them.
    new = base.with_name(f"{base.name}-{secrets.token_hex(8)}")
    files = [new.with_name(new.name + suffix) for suffix in index_paths.SUFFIXES]
    try:
        with files[0].open("xb") as opened:
            opened.writelines(_contents(views, count, dim, metric))
        vectors = _part(files[0])
        trees = None
        if with_trees:
            _build_trees(files[1], views, dim, metric)
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
        body = msgspec.msgpack.encode(manifest)
        durable_file.write(base.with_suffix(".manifest"), hashlib.sha256(body).digest() + body)
    except OSError:
        for file in files:  # a part of one would only keep the disk full
            file.unlink(missing_ok=True)
        raise
    index_paths.remove_unused(base, manifest.files)


@contextmanager
def locked(base: Path) -> Iterator[None]:
    """Exclude other processes that would write at `base`, waiting for them. Raises OSError."""
    base.parent.mkdir(parents=True, exist_ok=True)
    with durable_file.FileLock(base.with_suffix(".lock")):
        yield


def read_manifest(base: Path) -> Manifest | None:
    """Return the manifest; None if there is none that matches its checksum. Raises OSError."""
    try:
        data = base.with_suffix(".manifest").read_bytes()
    except FileNotFoundError:
        return None
    digest, body = data[:32], data[32:]
    if hashlib.sha256(body).digest() != digest:
        return None
    try:
        return msgspec.msgpack.decode(body, type=Manifest)
    except msgspec.DecodeError:  # intact, but of another version
        return None


def _contents(views: list[View], count: int, dim: int, metric: Metric) -> Iterator[bytes]:
    """Yield numbers, then vectors, then quantised vectors, as `_mapped` reads them."""

    def chunks(take: Callable[[View], NDArray[Any]]) -> Iterator[NDArray[Any]]:
        for view in views:
            alive = np.flatnonzero(view.live)
            for start in range(0, len(alive), CHUNK_ROWS):
                yield take(view)[alive[start : start + CHUNK_ROWS]]

    for numbers in chunks(lambda view: view.numbers):
        yield numbers.astype("<i8").tobytes()
    for vectors in chunks(lambda view: view.vectors):
        yield vectors.astype("<f4").tobytes()
    if metric == "cosine":
        codes, first = quantized.empty(count, dim), 0
        for vectors in chunks(lambda view: view.vectors):
            quantized.encode(codes, first, rotated(vectors))
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
    if manifest.metric == "cosine" and quantized.is_supported():
        codes = rest.reshape(-1, *quantized.empty(0, dim).shape[1:])
    return View(
        numbers.view("<i8"),
        vectors.view("<f4").reshape(count, dim),
        np.ones(count, np.uint8),
        codes,
    )


def _build_trees(file: Path, views: Iterable[View], dim: int, metric: Metric) -> None:
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
    durable_file.to_disk(file)
    digests = _digests(file)
    return Part(file=file.name, size=file.stat().st_size, digests=digests)


def _are_intact(base: Path, manifest: Manifest) -> bool:
    for part in (manifest.vectors, manifest.trees):
        if part is not None:
            file = base.parent / part.file
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
        ThreadPoolExecutor(2) as pool,  # SHA-256 releases the interpreter
    ):

        def digest(start: int) -> bytes:
            with whole[start : start + CHECKSUM_BYTES] as piece:
                return hashlib.sha256(piece).digest()

        return tuple(pool.map(digest, range(0, len(whole), CHECKSUM_BYTES)))
