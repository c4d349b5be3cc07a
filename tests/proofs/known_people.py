"""Proofs of the guarantees of collections. Each command exits with 1 if its guarantee is broken.

python -m tests.proofs.known_people writes --count 10000     a face is found by another process
python -m tests.proofs.known_people kills --count 100        kill -9 of writers, builder, searcher
python -m tests.proofs.known_people full                     a disk fills up
python -m tests.proofs.known_people duplicates               16 threads index the same image
python -m tests.proofs.known_people pages                    lists while faces are added and deleted

With --store postgresql they run on a server of its own, which `kills` kills, too. `full` is about
files only.
"""

import argparse
import contextlib
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
from tests.support import postgres
from tests.support.accidents import Victim, again, small_disk, started
from tests.support.stores import Place

from onlooker.identity import backup, index_paths
from onlooker.identity.duplicates import face_id, image_id
from onlooker.identity.errors import StoreFull
from onlooker.identity.faces import NewFace
from onlooker.identity.search import index_builder, index_file, replica
from onlooker.identity.search.index import FaceIndex
from onlooker.identity.store import Store

DIM = 192
MODEL = "m"
NAME = "staff"


def face(seed: int) -> NewFace:
    """Return a face that is unique to this seed, with the same FaceId each time."""
    vector = np.random.default_rng(seed).standard_normal(DIM, dtype=np.float32)
    return NewFace(
        picture=b"%d" % seed,
        external_image_id=f"face{seed}",
        box=(0.1, 0.2, 0.3, 0.4),
        confidence=99,
        vector=vector / np.linalg.norm(vector),
    )


def id_of(seed: int) -> str:
    """Return the FaceId of `face(seed)`."""
    new = face(seed)
    return face_id(new, MODEL, image_id(new.picture))


def writes(place: Place, count: int) -> int:
    """Return how many of `count` faces another process found with its next search."""
    found = 0
    with Store(*place) as store:
        store.make_collection(NAME, MODEL)
        with started(_search_when_asked, place) as (_, other):
            for seed in range(count):
                store.add(NAME, [face(seed)])
                other.send(seed)
                found += other.recv() == id_of(seed)
    return found


def _search_when_asked(place: Place, end: Connection) -> None:
    with Store(*place) as store, contextlib.suppress(EOFError):
        index = FaceIndex(store, NAME, MODEL)
        while True:
            vectors = face(end.recv()).vector[None]
            [[best]] = index.search(vectors, 1)
            end.send(best.entry.face_id)


class Lottery:
    """Two writers, a builder and a searcher; one at a time is killed and started again."""

    KEPT = 1500
    """Number of faces that are never deleted, and that are searched for."""

    def __init__(self, place: Place, seed: int) -> None:
        self.place = place
        self.random = random.Random(seed)
        self.there = set(range(self.KEPT))
        self.gone: set[int] = set()
        self.unconfirmed: list[tuple[str, list[int]]] = []
        """Changes that were announced, and not reported as done before the kill."""
        self.counts = {
            "searches": 0,
            "builds": 0,
            "changes": 0,
            "files damaged": 0,
            "server killed": 0,
        }
        self.wrong: list[str] = []
        self.seeds = self.KEPT
        with Store(*place) as store:
            store.make_collection(NAME, MODEL, method="annoy")
            store.add(NAME, [face(seed) for seed in range(self.KEPT)])

    def run(self, kills: int) -> None:
        """Kill a random process this many times."""
        roles = ["write", "write", "build", "search"]
        victims = [self._start(role) for role in roles]
        try:
            for draw in range(kills):
                end = time.monotonic() + self.random.uniform(0.05, 1.2)
                while time.monotonic() < end:
                    self._listen(victims)
                    time.sleep(0.005)
                if self.place[1] is not None and self.random.random() < 0.25:
                    postgres.server().restart()
                    self.counts["server killed"] += 1
                    continue
                drawn = self.random.randrange(len(roles))
                victims[drawn].kill()
                self._listen(victims)
                if victims[drawn].pending is not None:
                    self.unconfirmed.append(victims[drawn].pending)  # type: ignore[arg-type]
                if draw % 3 == 0:
                    self._damage()
                victims[drawn] = self._start(roles[drawn])
                print(f"\r{draw + 1} of {kills} kills ", end="", file=sys.stderr, flush=True)
        finally:
            for victim in victims:
                victim.kill()
        self._listen(victims)
        self.unconfirmed += [victim.pending for victim in victims if victim.pending is not None]

    def _start(self, role: str) -> Victim:
        if role == "write":
            self.seeds += 100_000
            return Victim(_write_for_ever, self.place, self.seeds)
        return Victim({"build": _build_for_ever, "search": _search_for_ever}[role], self.place)

    def _listen(self, victims: list[Victim]) -> None:
        for victim in victims:
            for what, seeds in victim.completed():
                if what == "added":
                    self.there |= {*seeds}
                elif what == "deleted":
                    self.there -= {*seeds}
                    self.gone |= {*seeds}
                elif what == "missed":
                    self.wrong.append(f"a search did not find {seeds}")
                kind = {"searched": "searches", "built": "builds"}.get(what, "changes")
                self.counts[kind] += 1

    def _damage(self) -> None:
        """Damage an index file as a crash may; processes that have mapped it keep the old one."""
        found = (self.place[0].parent / "index").rglob("*")
        files = [file for file in found if file.is_file() and file.suffix != ".lock"]
        if not files:
            return
        drawn = self.random.choice(files)
        with contextlib.suppress(FileNotFoundError):
            data = bytearray(drawn.read_bytes())
            if data and self.random.random() < 0.5:
                data[self.random.randrange(len(data))] ^= 1 << self.random.randrange(8)
            else:
                data = data[: self.random.randrange(len(data) + 1)]
            spoiled = drawn.with_suffix(".spoiled")
            spoiled.write_bytes(data)
            spoiled.rename(drawn)
            self.counts["files damaged"] += 1

    def violations(self) -> list[str]:
        """Return a sentence for each broken guarantee."""
        wrong = self.wrong
        with Store(*self.place) as store:
            wrong += [each for each in backup.verify(store) if "index file" not in each]
            stored: set[str] = set()
            token = None
            while True:
                page = store.faces(NAME, token=token)
                stored |= {one.face_id for one in page.faces}
                if (token := page.token) is None:
                    break
            expected = {id_of(seed) for seed in self.there}
            for what, seeds in self.unconfirmed:
                ids = {id_of(seed) for seed in seeds}
                if what in ("added", "deleted"):
                    if ids & stored not in (ids, set()):
                        wrong.append(f"half of a change is stored: {what} {seeds}")
                    expected = (expected - ids) | (ids & stored)
            if lost := expected - stored:
                wrong.append(f"{len(lost)} acknowledged faces are lost")
            if back := stored - expected:
                wrong.append(f"{len(back)} faces are stored that should not be")
            with small_files():
                index_builder.build(store, NAME, MODEL, "cosine", "faces")
                seen = replica.Replica(store, NAME, MODEL, "cosine", "faces")
                if not seen.is_mapped or len(seen) != len(stored):
                    wrong.append(f"the index has {len(seen)} of {len(stored)} faces")
                self._check_search(store)
        return wrong

    def _check_search(self, store: Store) -> None:
        index = FaceIndex(store, NAME, MODEL)
        found = index.search(np.stack([face(seed).vector for seed in range(self.KEPT)]), 1)
        index.close()
        names = [[hit.entry.face_id for hit in hits] for hits in found]
        missed = sum(each != [id_of(seed)] for seed, each in enumerate(names))
        if missed:
            self.wrong.append(f"the index misses {missed} of {self.KEPT} faces")


@contextmanager
def small_files() -> Iterator[None]:
    """Let a hundred changes be enough for a new index file."""
    before = replica.MIN_FILE_CHANGES
    replica.MIN_FILE_CHANGES = 100
    yield
    replica.MIN_FILE_CHANGES = before


def _write_for_ever(place: Place, seed: int, end: Connection) -> None:
    chance = random.Random(seed)
    own: list[int] = []
    with again(partial(Store, *place)) as store:
        while True:
            if len(own) > 40 or (own and chance.random() < 0.4):
                chosen = [own.pop(chance.randrange(len(own))) for _ in range(min(len(own), 3))]
                end.send(("deleted", chosen))
                again(partial(store.delete_faces, NAME, [id_of(one) for one in chosen]))
            else:
                chosen = [seed + place for place in range(chance.randint(1, 40))]
                seed = chosen[-1] + 1
                end.send(("added", chosen))
                again(partial(store.add, NAME, [face(one) for one in chosen]))
                own += chosen
            end.send(("done", []))


def _build_for_ever(place: Place, end: Connection) -> None:
    with small_files(), again(partial(Store, *place)) as store:
        base = index_paths.base_path(store.index_folder, NAME, MODEL, "faces")
        while True:
            before = index_file.read_manifest(base)
            again(partial(index_builder.build, store, NAME, MODEL, "cosine", "faces"))
            if index_file.read_manifest(base) != before:
                end.send(("built", []))
                end.send(("done", []))
            time.sleep(0.05)


def _search_for_ever(place: Place, end: Connection) -> None:
    chance = random.Random()
    with small_files(), again(partial(Store, *place)) as store:
        while True:
            index = again(lambda: FaceIndex(store, NAME, MODEL))
            for _ in range(50):
                seed = chance.randrange(Lottery.KEPT)
                [hits] = again(partial(index.search, face(seed).vector[None], 1))
                found = bool(hits) and hits[0].entry.face_id == id_of(seed)
                end.send(("searched" if found else "missed", [seed]))
                end.send(("done", []))
                time.sleep(0.002)


def full(folder: Path) -> list[str]:
    """Fill the disk under `folder`, and free some space again; return the violations."""
    wrong: list[str] = []
    place = (folder / "faces.db", None)
    ballast = folder / "ballast"
    ballast.write_bytes(bytes(1 << 20))
    with Store(*place) as store, Store(*place) as reader:
        store.make_collection(NAME, MODEL)
        acknowledged = 0
        message = ""
        while not message:
            try:
                store.add(NAME, [face(acknowledged + place) for place in range(10)])
                acknowledged += 10
            except StoreFull as error:
                message = str(error)
        print(f"{acknowledged} faces, then: {message}")
        for attempt in range(3):
            if reader.collection(NAME).faces != acknowledged:
                wrong.append("a reader sees other faces")
            with contextlib.suppress(StoreFull):
                store.add(NAME, [face(acknowledged + place) for place in range(2000)])
                wrong.append(f"attempt {attempt}: more faces fitted")
        ballast.unlink()
        store.add(NAME, [face(acknowledged)])
        if reader.collection(NAME).faces != acknowledged + 1:
            wrong.append("a face cannot be added again")
    with Store(*place) as store:
        wrong += backup.verify(store)
        for seed in range(acknowledged + 1):
            store.vectors(NAME, [id_of(seed)])
    return wrong


def duplicates(place: Place, threads: int, times: int) -> tuple[int, int, int]:
    """Return the numbers of FaceIds reread, of faces stored, and of requests for both faces."""
    ids: set[str] = set()
    with Store(*place) as store:
        store.make_collection(NAME, MODEL)

        def index() -> None:
            for _ in range(times):
                ids.update(one.face_id for one in store.add(NAME, [face(1), face(2)]))

        running = [threading.Thread(target=index) for _ in range(threads)]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()
        return len(ids), store.collection(NAME).faces, threads * times


def pages(place: Place, count: int, changes: int) -> tuple[int, int, int]:
    """Return how many of `count` faces lists missed and repeated meanwhile, and the pages read."""
    with Store(*place) as store:
        store.make_collection(NAME, MODEL)
        kept = [
            one.face_id
            for start in range(0, count, 1000)
            for one in store.add(NAME, [face(start + place) for place in range(1000)])
        ]
        missed, twice, read = 0, 0, 0
        with started(_change, place, count, changes) as (_, other):
            other.recv()
            while not other.poll():  # not all changes are made
                seen: list[str] = []
                page = store.faces(NAME, limit=20)
                while page.token:
                    seen += [one.face_id for one in page.faces]
                    page = store.faces(NAME, limit=20, token=page.token)
                    read += 1
                seen += [one.face_id for one in page.faces]
                missed += len(set(kept) - set(seen))
                twice += len(seen) - len(set(seen))
    return missed, twice, read


def _change(place: Place, first: int, changes: int, end: Connection) -> None:
    with Store(*place) as store:
        end.send("begins")
        for seed in range(first, first + changes):
            store.add(NAME, [face(seed)])
            store.delete_faces(NAME, [id_of(seed)])
        end.send("done")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("proof", choices=["writes", "kills", "full", "duplicates", "pages"])
    parser.add_argument("--count", type=int)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--store", choices=["sqlite", "postgresql"], default="sqlite")
    asked = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        url = postgres.database() if asked.store == "postgresql" else None
        place = Path(folder) / "faces.db", url
        if asked.proof == "writes":
            count = asked.count or 10_000
            found = writes(place, count)
            print(f"{found} of {count} faces found by the next search of another process")
            kept = found == count
        elif asked.proof == "kills":
            print(f"seed {asked.seed}")
            lottery = Lottery(place, asked.seed)
            lottery.run(asked.count or 100)
            wrong = lottery.violations()
            for what, number in lottery.counts.items():
                print(f"{what:14} {number:7}")
            print(
                f"{len(lottery.unconfirmed)} changes were cut off, {len(wrong)} guarantees broken",
                *wrong,
            )
            kept = not wrong and not lottery.wrong
        elif asked.proof == "full":
            with small_disk(8) as disk:
                wrong = full(disk)
            print(f"{len(wrong)} guarantees broken", *wrong)
            kept = not wrong
        elif asked.proof == "duplicates":
            ids, stored, times = duplicates(place, 16, asked.count or 100)
            print(f"the same image {times} times: {ids} FaceIds, {stored} faces stored (it has 2)")
            kept = ids == stored == 2
        else:
            missed, twice, read = pages(place, 10_000, asked.count or 1000)
            print(f"{read} pages meanwhile: {missed} faces missed, {twice} repeated")
            kept = not missed and not twice
    print(f"{'kept' if kept else 'BROKEN'} in {time.monotonic() - began:.0f} s")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
