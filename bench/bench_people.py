"""The time to assign one appearance among many unknown people.

Made-up vectors of as many people as are asked for, one appearance each; then further appearances of
some of them and of new people, one by one, each committed to the disk as in a run.

    python -m bench.bench_people [--people 10000]
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before NumPy is imported

import numpy as np
from bench.support.machine import measured_with

from onlooker.identity.faces import NewFace
from onlooker.identity.people.people import COLLECTION, open_people
from onlooker.identity.people.person_changes import Visitor
from onlooker.identity.search.engines import open_searcher
from onlooker.models.card import space

SPACE = space("mobilefacenet")
MEASURED = 200
BATCH = 1000


def vector(person: int, photo: int) -> bytes:
    """Return the vector of an image of a made-up person."""
    own = np.random.default_rng(person).normal(size=SPACE.dim)
    other = np.random.default_rng([person, photo + 1]).normal(size=SPACE.dim)
    mixed = own / np.linalg.norm(own) + 0.45 * other / np.linalg.norm(other)
    return np.asarray(mixed / np.linalg.norm(mixed), np.float32).tobytes()


def visitor(person: int, photo: int) -> Visitor:
    return Visitor(
        appearance=f"{person}-{photo}",
        stream="door",
        start=float(photo),
        end=photo + 1.0,
        frames=20,
        clarity=60.0,
        vector=vector(person, photo),
    )


def fill(store: Path, people: int) -> None:
    """Store one face and one user for each person, in batches, as joins would leave them."""
    with open_searcher(store, SPACE) as searcher:
        searcher.create_collection(COLLECTION)
        for first in range(0, people, BATCH):
            batch = range(first, min(first + BATCH, people))
            faces = [
                NewFace(
                    picture=str(person).encode(),
                    external_image_id=f"{person}-0",
                    box=(0.0, 0.0, 1.0, 1.0),
                    confidence=60.0,
                    vector=np.frombuffer(vector(person, 0), np.float32),
                )
                for person in batch
            ]
            stored = searcher.add(COLLECTION, faces)
            for person, face in zip(batch, stored, strict=True):
                searcher.create_user(COLLECTION, f"known-{person}")
                searcher.associate(COLLECTION, f"known-{person}", [face.face_id], 0.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--people", type=int, default=10_000)
    asked = parser.parse_args()
    print(measured_with())
    with tempfile.TemporaryDirectory() as name:
        store = Path(name) / "faces.db"
        fill(store, asked.people)
        chance = np.random.default_rng(1)
        times, right = [], 0
        with open_people(SPACE, store) as people:
            people.join(visitor(10**7, 0))  # the index is read once
            for number in range(MEASURED):
                old = number % 2 == 0
                person = int(chance.integers(asked.people)) if old else 10**6 + number
                began = time.perf_counter()
                found = people.join(visitor(person, 1 + number))
                times.append(1e3 * (time.perf_counter() - began))
                right += (found == f"known-{person}") == old
    print(f"{asked.people} people, {MEASURED} appearances: {right} assigned rightly")
    ordered = sorted(times)
    print(
        f"median {statistics.median(times):.2f} ms, 95 of 100 within "
        f"{ordered[len(ordered) * 95 // 100]:.2f} ms"
    )


if __name__ == "__main__":
    main()
