"""Other engines for vector search, each with its settings from fast to thorough."""

import importlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
Search = Callable[[Vectors], list[int]]

K = 10
PEERS = ("numpy", "annoy", "hnswlib", "faiss-cpu", "usearch")


@dataclass
class Engine:
    """An engine that finds the rows near a query, with its settings from fast to thorough."""

    name: str
    settings: Mapping[str, Search]
    build: float
    """Seconds."""
    size: float
    """Bytes on the disk or in memory."""
    insert: Callable[[Vectors], object] | None = None
    delete: Callable[[Vectors], object] | None = None
    times: dict[str, list[float]] = field(default_factory=dict)
    recall: dict[str, tuple[float, float]] = field(default_factory=dict)


def has(package: str) -> bool:
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True


def with_numpy(vectors: Vectors) -> Engine:
    """Return the code that one would write: a product, a partial sort, a sort."""

    def search(query: Vectors) -> list[int]:
        values = vectors @ query
        best = np.argpartition(values, len(values) - K)[-K:]
        return [int(row) for row in best[np.argsort(-values[best])]]

    return Engine("numpy", {"all": search}, 0, vectors.nbytes)


def with_annoy(vectors: Vectors, folder: Path) -> Engine:
    annoy = importlib.import_module("annoy")
    began = time.perf_counter()
    index = annoy.AnnoyIndex(vectors.shape[1], "angular")
    index.set_seed(1)
    for row, vector in enumerate(vectors):
        index.add_item(row, vector)
    index.build(50, n_jobs=1)
    built = time.perf_counter() - began
    index.save(str(folder / "annoy"))
    settings = {
        f"{visited} visited": partial(index.get_nns_by_vector, n=K, search_k=visited)
        for visited in (5_000, 10_000, 20_000, 50_000, 100_000, 200_000)
        if visited < 25 * len(vectors)
    }
    return Engine("annoy, 50 trees", settings, built, (folder / "annoy").stat().st_size)


def with_hnswlib(vectors: Vectors, folder: Path) -> Engine:
    hnswlib = importlib.import_module("hnswlib")
    began = time.perf_counter()
    index = hnswlib.Index("ip", vectors.shape[1])
    index.init_index(len(vectors) + 1000, ef_construction=100, M=16)
    index.set_num_threads(1)
    index.add_items(vectors)
    built = time.perf_counter() - began
    index.save_index(str(folder / "hnswlib"))

    def search(query: Vectors, ef: int) -> list[int]:
        index.set_ef(ef)
        return [int(row) for row in index.knn_query(query, K, num_threads=1)[0][0]]

    settings = {f"ef {ef}": partial(search, ef=ef) for ef in (50, 100, 200, 400, 800, 1600)}
    size = (folder / "hnswlib").stat().st_size
    new = iter(range(len(vectors), len(vectors) + 1000))
    gone = iter(range(len(vectors), len(vectors) + 1000))
    return Engine(
        "hnswlib, M 16",
        settings,
        built,
        size,
        lambda vector: index.add_items(vector[None], [next(new)], num_threads=1),
        lambda _: index.mark_deleted(next(gone)),
    )


def with_faiss(vectors: Vectors, folder: Path, graphs: int) -> Iterator[Engine]:
    faiss = importlib.import_module("faiss")
    faiss.omp_set_num_threads(1)
    count, dim = vectors.shape

    def made(name: str, index: Any, choose: Mapping[str, Callable[[], object]]) -> Engine:
        began = time.perf_counter()
        index.train(vectors[:100_000])
        index.add(vectors)
        built = time.perf_counter() - began
        faiss.write_index(index, str(folder / "faiss"))

        def search(query: Vectors, choose: Callable[[], object]) -> list[int]:
            choose()
            return [int(row) for row in index.search(query[None], K)[1][0]]

        settings = {word: partial(search, choose=how) for word, how in choose.items()}
        size = (folder / "faiss").stat().st_size
        return Engine(name, settings, built, size, lambda vector: index.add(vector[None]))

    yield made("faiss flat", faiss.IndexFlatIP(dim), {"all": lambda: None})
    codes = faiss.IndexPQFastScan(dim, dim // 2, 4, faiss.METRIC_INNER_PRODUCT)
    refined = faiss.IndexRefineFlat(codes)
    yield made(
        "faiss PQ fast scan, refined",
        refined,
        {
            f"{K * more} refined": partial(setattr, refined, "k_factor", more)
            for more in (5, 10, 20, 40)
        },
    )
    if count <= graphs:
        graph = faiss.IndexHNSWFlat(dim, 16, faiss.METRIC_INNER_PRODUCT)
        yield made(
            "faiss HNSW, M 16",
            graph,
            {
                f"ef {ef}": partial(setattr, graph.hnsw, "efSearch", ef)
                for ef in (50, 100, 200, 400, 800, 1600)
            },
        )


def with_usearch(vectors: Vectors, folder: Path) -> Engine:
    usearch = importlib.import_module("usearch.index")
    began = time.perf_counter()
    index = usearch.Index(ndim=vectors.shape[1], metric="ip", dtype="f32", expansion_add=100)
    index.add(np.arange(len(vectors)), vectors, threads=1)
    built = time.perf_counter() - began
    index.save(str(folder / "usearch"))

    def search(query: Vectors, ef: int) -> list[int]:
        index.expansion_search = ef
        return [int(row) for row in index.search(query, K, threads=1).keys]

    settings = {f"ef {ef}": partial(search, ef=ef) for ef in (50, 100, 200, 400, 800, 1600)}
    new = iter(range(len(vectors), len(vectors) + 1000))
    gone = iter(range(len(vectors), len(vectors) + 1000))
    return Engine(
        "usearch, f32",
        settings,
        built,
        (folder / "usearch").stat().st_size,
        lambda vector: index.add(next(new), vector, threads=1),
        lambda _: index.remove(next(gone)),
    )
