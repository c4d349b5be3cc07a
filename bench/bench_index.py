"""Searching a collection: exactly and with Annoy, from the store to the names, and what it finds.

One thread, the two in turn, medians; vectors as in bench_scan.py. `fresh` is the time from adding
a face, which ends on the disk, to having found it.

    python bench/bench_index.py [--faces 10000 50000] [--rounds 100]
"""

import argparse
import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before NumPy is there

import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from onlooker.identity.index import Hit, Index, Method
from onlooker.identity.store import NewFace, Store

DIM = 192
K = 10
METHODS: tuple[Method, ...] = ("exact", "annoy")
T = TypeVar("T")
Vectors = NDArray[np.float32]


def timed(call: Callable[..., T], *arguments: object) -> tuple[float, T]:
    """Milliseconds, and what came of it."""
    start = time.perf_counter()
    result = call(*arguments)
    return (time.perf_counter() - start) * 1e3, result


def faces(count: int, queries: int) -> tuple[Vectors, Vectors]:
    """Eight pictures a person in any order, and one more of some people; all of length 1."""
    chance = np.random.default_rng(7)
    people = chance.standard_normal((count // 8, DIM), dtype=np.float32)
    who = chance.permutation(np.repeat(np.arange(len(people)), 8))
    who = np.concatenate([who, chance.integers(0, len(people), queries)])
    noise = chance.standard_normal((len(who), DIM), dtype=np.float32)
    pictures = people[who] + np.float32(np.sqrt(1 / 0.6 - 1)) * noise
    pictures /= np.linalg.norm(pictures, axis=1, keepdims=True)
    return pictures[:-queries], pictures[-queries:]


def new(vector: Vectors) -> NewFace:
    return NewFace(
        picture=b"", external_image_id=None, box=(0, 0, 1, 1), confidence=99, vector=vector
    )


def measure(store: Store, count: int, rounds: int) -> None:
    vectors, queries = faces(count, rounds)
    store.create_collection("people", "m")
    filling, _ = timed(store.add, "people", [new(vector) for vector in vectors])
    planting, _ = timed(Index, store, "people", "m", "cosine", "annoy")
    opening, indexes = {}, {}
    for method in METHODS:
        opening[method], indexes[method] = timed(Index, store, "people", "m", "cosine", method)
    times: dict[Method, list[float]] = {method: [] for method in METHODS}
    fresh: dict[Method, list[float]] = {method: [] for method in METHODS}
    recall = dict.fromkeys(METHODS, 0.0)
    for query in queries:
        truth: set[str] = set()
        for method, index in indexes.items():
            taken, hits = timed(index.search, query[None], K)
            times[method].append(taken)
            truth = truth or ids(hits)
            recall[method] += len(ids(hits) & truth) / K / rounds
    for query in queries[:20]:
        for method, index in indexes.items():
            writing, _ = timed(store.add, "people", [new(query)])
            finding, hits = timed(index.search, query[None], 1)
            assert hits[0][0].value > 0.9999
            fresh[method].append(writing + finding)
    print(f"\n{count} faces: filled in {filling:.0f} ms, Annoy file made in {planting:.0f} ms")
    print(f"{'ms':8} {'open':>8} {'search':>8} {'p99':>8} {'fresh':>8} {'recall@10':>10}")
    for method in METHODS:
        found = sorted(times[method])
        print(
            f"{method:8} {opening[method]:8.1f} {statistics.median(found):8.2f} "
            f"{found[len(found) * 99 // 100]:8.2f} {statistics.median(fresh[method]):8.2f} "
            f"{recall[method]:10.3f}"
        )


def ids(hits: list[list[Hit]]) -> set[str]:
    return {hit.face.face_id for hit in hits[0]}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--faces", nargs="*", type=int, default=[10_000, 50_000])
    arguments.add_argument("--rounds", type=int, default=100)
    options = arguments.parse_args()
    print(platform.processor() or platform.machine(), "python", platform.python_version())
    print(*(f"{name} {version(name)}" for name in ("numpy", "annoy")))
    for count in options.faces:
        with tempfile.TemporaryDirectory() as folder, Store(Path(folder) / "faces.db") as store:
            measure(store, count, options.rounds)


if __name__ == "__main__":
    main()
