"""Search for the ten nearest faces: Onlooker beside the alternatives, and its costs.

One thread. All engines get the same vectors and queries, query by query in turn. The row of an
engine shows its fastest setting that finds 99 % of the ten nearest, or the best one if none does.
Peers answer row numbers, as "vectors only" does; `times` compares with that row. The whole search
also asks the store for changes and for the names.

    python -m bench.bench_search [--sizes 10000x192 100000x192] [--graphs 50000] [--rounds 200]

Vectors of 192 numbers are modelled on real ones: people are drawn with the mean and covariance of
the default embedder on the images in `attributes` of the samples folder (`$ONLOOKER_SAMPLES`, or
`../shared/data` beside the project), and the eight images of each person with the covariance
between images of one person there. Without that folder, and for other lengths, people are drawn
uniformly from all directions, and images of one person have a cosine of 0.6. Two of the ten nearest
of a query are then other people, the hardest case.

Peers come with the extra `[bench]`; one that is missing is left out. Graphs (HNSW) are built up to
`--graphs` vectors: they take minutes above.
"""

import argparse
import os

os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"  # before NumPy is imported

import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import version
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import numpy as np
from bench.support.machine import measured_with
from bench.support.peers import (
    PEERS,
    Engine,
    K,
    Vectors,
    has,
    with_annoy,
    with_faiss,
    with_hnswlib,
    with_numpy,
    with_usearch,
)
from numpy.typing import NDArray

from onlooker.config.load import load
from onlooker.identity import changes
from onlooker.identity.enrol import Enroller, image_files
from onlooker.identity.faces import NewFace
from onlooker.identity.search import index_builder
from onlooker.identity.search.exact import largest_products
from onlooker.identity.search.index import FaceIndex
from onlooker.identity.store import Store

ENOUGH = 0.99
PICTURES = 8


# The vectors


def unit(vectors: Vectors) -> Vectors:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def samples_folder() -> Path:
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    return Path(os.environ.get("ONLOOKER_SAMPLES", beside))


def real(samples: Path) -> tuple[Vectors, list[str]] | None:
    """Return vectors of real faces and their owners, cached in the temporary folder."""
    kept = Path(tempfile.gettempdir()) / f"onlooker-bench-{version('onlooker')}.npz"
    if not kept.exists():
        if not (samples / "attributes").is_dir():
            return None
        enroller = Enroller(load())
        files = [path for path, _ in image_files([samples / "attributes"])]
        portraits = [(path, enroller(path.read_bytes(), str(path))) for path in files]
        faces = [(path, one.vector) for path, one in portraits if one.vector is not None]
        who = [path.stem.rsplit("_", 1)[0] for path, _ in faces]
        np.savez(kept, vectors=np.stack([vector for _, vector in faces]), who=who)
    with np.load(kept) as found:
        return found["vectors"], [str(name) for name in found["who"]]


def likenesses(dim: int, samples: Path) -> tuple[str, Callable[[int], Vectors], Vectors]:
    """Return draws of people, the root of the covariance of one person's images, and a label."""
    chance = np.random.default_rng(7)
    known = real(samples) if dim == 192 else None
    if known is None:
        spread = np.float32(np.sqrt((1 / 0.6 - 1) / dim)) * np.eye(dim, dtype=np.float32)
        return (
            "all directions",
            lambda n: unit(chance.standard_normal((n, dim), dtype=np.float32)),
            spread,
        )
    vectors, who = known
    names = sorted({name for name in who if who.count(name) > 1})
    own = [vectors[[one == name for one in who]] for name in names]
    within = np.concatenate([group - group.mean(axis=0) for group in own])
    freedom = len(within) - len(own)
    people = np.stack([vectors[who.index(name)] for name in sorted(set(who))])

    def root(deviations: NDArray[np.floating[Any]], count: int) -> Vectors:
        values, axes = np.linalg.eigh(deviations.T @ deviations / count)
        return np.asarray((axes * np.sqrt(np.maximum(values, 0))).astype(np.float32).T)

    centred = people - people.mean(axis=0)
    spread = root(centred, len(people))
    words = f"like {len(people)} real ones"

    def draw(n: int) -> Vectors:
        drawn = chance.standard_normal((n, dim), dtype=np.float32)
        return np.asarray(people.mean(axis=0) + drawn @ spread)

    return words, draw, root(within, freedom)


def faces(n: int, dim: int, queries: int, samples: Path) -> tuple[str, Vectors, Vectors]:
    """Return n vectors in random order and some queries, all of length 1."""
    chance = np.random.default_rng(11)
    words, draw, spread = likenesses(dim, samples)
    people = draw(-(-n // PICTURES))
    who = chance.permutation(np.repeat(np.arange(len(people)), PICTURES)[:n])
    who = np.concatenate([who, chance.integers(0, len(people), queries)])
    vectors = np.empty((len(who), dim), np.float32)
    for start in range(0, len(who), 50_000):
        some = who[start : start + 50_000]
        noise = chance.standard_normal((len(some), dim), dtype=np.float32) @ spread
        vectors[start : start + 50_000] = unit(people[some] + noise)
    return words, vectors[:n], vectors[n:]


# The engines


def onlooker(vectors: Vectors, folder: Path) -> Iterator[Engine]:
    """Yield the whole search, and the two comparisons alone."""
    store = Store(folder / "faces.db")
    store.make_collection("c", "m")
    row_of: dict[str, int] = {}

    def new(vector: Vectors) -> NewFace:
        return NewFace(
            picture=b"", external_image_id=None, box=(0, 0, 1, 1), confidence=99, vector=vector
        )

    for start in range(0, len(vectors), 5000):
        some = store.add("c", [new(vector) for vector in vectors[start : start + 5000]])
        row_of |= {one.face_id: start + place for place, one in enumerate(some)}
    began = time.perf_counter()
    index_builder.build(store, "c", "m", "cosine", "faces")
    built = time.perf_counter() - began
    index = FaceIndex(store, "c", "m")
    files = sum(file.stat().st_size for file in (folder / "index").glob("*.vectors"))

    def search(query: Vectors) -> list[int]:
        return [row_of.get(hit.entry.face_id, -1) for hit in index.search(query[None], K)[0]]

    added: list[str] = []

    def insert(vector: Vectors) -> None:
        added.extend(one.face_id for one in store.add("c", [new(vector)]))
        index.replica.catch_up()

    def delete(_: Vectors) -> None:
        store.delete_faces("c", [added.pop()])
        index.replica.catch_up()

    yield Engine("Onlooker, whole search", {"": search}, built, files, insert, delete)
    views = index.replica.views()

    def nearest(query: Vectors, exact: bool) -> list[int]:
        numbers, _ = views._replace(exact=exact).nearest(query[None], K, "cosine")
        return [int(number) - first for number in numbers[0]]

    first = int(changes.after(store.database, "c", 0, max_added=1).added[0])
    yield Engine("Onlooker, vectors only", {"codes": partial(nearest, exact=False)}, built, files)
    live = np.ones(len(vectors), np.uint8)

    def scan(query: Vectors) -> list[int]:
        return [int(row) for row in largest_products(vectors, live, query[None], K)[0][0]]

    yield Engine("Onlooker, exact", {"all": scan}, 0, vectors.nbytes)


def engines(vectors: Vectors, options: argparse.Namespace, folder: Path) -> Iterator[Engine]:
    """Yield the engines that are installed, of those asked for."""
    peers = [peer for peer in options.peers if has(peer)]
    yield from onlooker(vectors, folder)
    yield with_numpy(vectors)
    if "annoy" in peers:
        yield with_annoy(vectors, folder)
    if "faiss-cpu" in peers:
        yield from with_faiss(vectors, folder, options.graphs)
    if "hnswlib" in peers and len(vectors) <= options.graphs:
        yield with_hnswlib(vectors, folder)
    if "usearch" in peers and len(vectors) <= options.graphs:
        yield with_usearch(vectors, folder)


# The measurement


def two_processes(folder: Path, queries: Vectors) -> None:
    """Print the memory of one of two processes that search the same collection."""
    spawn = multiprocessing.get_context("spawn")
    ready, heard = spawn.Barrier(2), spawn.Queue()
    processes = [
        spawn.Process(target=_open_and_search, args=(folder, queries, ready, heard)) for _ in "ab"
    ]
    for process in processes:
        process.start()
    for _ in processes:
        print("one of two processes:", heard.get(timeout=120))
    for process in processes:
        process.join()


def _open_and_search(folder: Path, queries: Vectors, ready: Barrier, heard: "Queue[str]") -> None:
    before = memory()
    began = time.perf_counter()
    with Store(folder / "faces.db") as store:
        index = FaceIndex(store, "c", "m")
        opened = time.perf_counter() - began
        for query in queries:
            index.search(query[None], K)
        ready.wait(60)
        now = {name: f"{(size - before[name]) / 1e6:.0f} MB" for name, size in memory().items()}
        heard.put(f"opened in {opened:.3f} s, then had more of {now}")
        ready.wait(60)


def memory() -> dict[str, int]:
    """Return the bytes of this process in memory: all, and with its part of shared pages."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()[1:]
    sizes = {words[0].strip(":"): int(words[1]) * 1024 for line in lines if (words := line.split())}
    return {name: sizes[name] for name in ("Rss", "Pss")}


def measure(engine: Engine, queries: Vectors, truth: list[list[int]]) -> None:
    """Measure the recall of each setting, up to the first that is good enough."""
    for word, search in engine.settings.items():
        found = [search(query) for query in queries]
        ten = [len({*a} & {*b}) / K for a, b in zip(found, truth, strict=True)]
        one = [a[:1] == b[:1] for a, b in zip(found, truth, strict=True)]
        engine.recall[word] = (float(np.mean(one)), float(np.mean(ten)))
        if engine.recall[word][1] >= ENOUGH:
            break


def chosen(engine: Engine) -> str:
    return next(
        (word for word, (_, ten) in engine.recall.items() if ten >= ENOUGH),
        max(engine.recall, key=lambda word: engine.recall[word][1]),
    )


def microseconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1e6


def change_times(engine: Engine, vectors: Vectors) -> list[str]:
    """Return the median microseconds to insert one face, and to delete one."""
    told = []
    for call in (engine.insert, engine.delete):
        taken = [microseconds(partial(call, vector)) for vector in vectors[:100]] if call else []
        told.append(f"{statistics.median(taken):.0f}" if taken else "-")
    return told


def compare(size: str, options: argparse.Namespace, folder: Path) -> None:
    n, dim = map(int, size.split("x"))
    words, vectors, queries = faces(n, dim, options.rounds, options.samples)
    print(f"\n{n} x {dim}, people {words}, {PICTURES} images each", flush=True)
    all_engines = []
    exact = with_numpy(vectors).settings["all"]
    truth = [exact(query) for query in queries]
    print(f"{vectors.nbytes / 1e6:.0f} MB of vectors")
    for engine in engines(vectors, options, folder):
        measure(engine, queries, truth)
        all_engines.append(engine)
        if len(all_engines) == 1 and sys.platform == "linux":
            two_processes(folder, queries)
    ways = [(engine, engine.settings[chosen(engine)]) for engine in all_engines]
    taken: dict[str, list[float]] = {engine.name: [] for engine in all_engines}
    for query in queries:
        for engine, search in ways:
            taken[engine.name].append(microseconds(partial(search, query)))
    print(f"{'':46} p50 us  p99 us  times    R@1   R@10  build s     MB  insert  delete us")
    reference = statistics.median(taken[all_engines[1].name])
    for engine in all_engines:
        times = sorted(taken[engine.name])
        median = statistics.median(times)
        one, ten = engine.recall[chosen(engine)]
        insert, delete = change_times(engine, queries)
        print(
            f"{engine.name + ', ' * bool(chosen(engine)) + chosen(engine):44} {median:8.0f} "
            f"{times[len(times) * 99 // 100]:7.0f} {median / reference:6.2f} {one:6.3f} {ten:6.3f} "
            f"{engine.build:8.1f} {engine.size / 1e6:6.0f} {insert:>7} {delete:>7}",
            flush=True,
        )


def main() -> None:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("--sizes", nargs="*", default=["10000x192", "100000x192"])
    arguments.add_argument("--rounds", type=int, default=200)
    arguments.add_argument("--graphs", type=int, default=50_000)
    arguments.add_argument("--peers", nargs="*", default=PEERS)
    arguments.add_argument("--samples", type=Path, default=samples_folder())
    options = arguments.parse_args()
    print(measured_with(*filter(has, PEERS)))
    for peer in PEERS:
        if not has(peer):
            print(f"without {peer}: pip install 'onlooker[bench]'", file=sys.stderr)
    # In memory if possible: the disk is not to be measured.
    shared = "/dev/shm" if Path("/dev/shm").is_dir() else None
    for size in options.sizes:
        with tempfile.TemporaryDirectory(dir=shared) as folder:
            compare(size, options, Path(folder))


if __name__ == "__main__":
    main()
