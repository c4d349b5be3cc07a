"""The exact nearest ten of n vectors: the kernel, NumPy, and Annoy at its best that is as good.

One thread, the variants in turn, medians. Vectors as faces have them: eight pictures a person, at
a cosine of about 0.6 of each other; a query is another picture of one of them.

    python bench/bench_scan.py [--sizes 10000x192 100000x192] [--rounds 200]
"""

import argparse
import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before NumPy is there

import platform
import statistics
import time
from collections.abc import Callable, Mapping
from functools import partial
from importlib.metadata import version

import numpy as np
from annoy import AnnoyIndex
from numpy.typing import NDArray

from onlooker.identity.scan import most_alike

K = 10
TREES = 50
VISITED = (1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000)

Vectors = NDArray[np.float32]


def faces(n: int, dim: int, queries: int, pictures: int = 8) -> tuple[Vectors, Vectors]:
    """n vectors and some queries, all of length 1."""
    chance = np.random.default_rng(7)
    spread = np.sqrt((1 / 0.6 - 1) / dim)

    def unit(vectors: Vectors) -> Vectors:
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))

    def seen(centres: Vectors) -> Vectors:
        noise = chance.standard_normal(centres.shape, dtype=np.float32)
        return unit(centres + np.float32(spread) * noise)

    people = unit(chance.standard_normal((n // pictures, dim), dtype=np.float32))
    vectors = seen(np.repeat(people, pictures, axis=0))
    return chance.permutation(vectors), seen(people[chance.integers(0, len(people), queries)])


def with_numpy(vectors: Vectors, query: Vectors) -> list[int]:
    """What one would write: a product, a partial sort, a sort."""
    values = vectors @ query
    best = np.argpartition(values, len(values) - K)[-K:]
    return [int(row) for row in best[np.argsort(-values[best])]]


def scan(vectors: Vectors, live: NDArray[np.uint8], query: Vectors) -> list[int]:
    """What `onlooker.identity.index` does."""
    rows, _ = most_alike(vectors, live, query[None], K)
    return [int(row) for row in rows[0]]


def planted(vectors: Vectors) -> AnnoyIndex:
    trees = AnnoyIndex(vectors.shape[1], "angular")
    trees.set_seed(1)
    for row, vector in enumerate(vectors):
        trees.add_item(row, vector.tolist())
    trees.build(TREES)
    return trees


def medians(
    variants: Mapping[str, Callable[[Vectors], list[int]]], queries: Vectors
) -> dict[str, tuple[float, float, float]]:
    """Microseconds (median, 99th of 100) and recall of each, measured in turn."""
    times: dict[str, list[float]] = {name: [] for name in variants}
    found: dict[str, float] = dict.fromkeys(variants, 0.0)
    for query in queries:
        truth = variants["numpy"](query)
        for name, search in variants.items():
            start = time.perf_counter()
            rows = search(query)
            times[name].append((time.perf_counter() - start) * 1e6)
            found[name] += len({*rows} & {*truth}) / K
    return {
        name: (
            statistics.median(taken),
            sorted(taken)[len(taken) * 99 // 100],
            found[name] / len(queries),
        )
        for name, taken in times.items()
    }


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--sizes", nargs="*", default=["10000x192", "100000x192"])
    arguments.add_argument("--rounds", type=int, default=200)
    options = arguments.parse_args()
    print(platform.processor() or platform.machine(), "python", platform.python_version())
    print(*(f"{name} {version(name)}" for name in ("numpy", "annoy")))
    for size in options.sizes:
        n, dim = map(int, size.split("x"))
        vectors, queries = faces(n, dim, options.rounds)
        live = np.ones(n, dtype=np.uint8)
        trees = planted(vectors)
        variants = {"numpy": partial(with_numpy, vectors), "scan": partial(scan, vectors, live)}
        for visited in VISITED:
            name = f"annoy {TREES} trees, {visited} visited"
            variants[name] = partial(trees.get_nns_by_vector, n=K, search_k=visited)
        table = medians(variants, queries)
        print(f"\n{n} x {dim}".ljust(36) + "median us   p99 us   recall@10   times scan")
        for name, (median, slow, recall) in table.items():
            ratio = median / table["scan"][0]
            print(f"{name:34} {median:10.0f} {slow:8.0f} {recall:11.3f} {ratio:12.2f}")
        start = time.perf_counter()
        for _ in range(20):
            most_alike(vectors, live, queries[:5], K)
        each = (time.perf_counter() - start) / 20 / 5 * 1e6
        print(f"{'scan, five faces at once, each':34} {each:10.0f}")


if __name__ == "__main__":
    main()
