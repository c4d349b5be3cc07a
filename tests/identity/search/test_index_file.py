import fcntl
import multiprocessing
import random
import resource
import shutil
import time
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest
from tests.support.indexes import QUERIES, VECTORS, by, files, ids, is_mapped, new, people, recall

from onlooker.identity.search import index_builder, index_file, replica
from onlooker.identity.search.index import FaceIndex
from onlooker.identity.store import Store


class TestFile:
    def test_holds_what_the_store_does(self, filed: Store) -> None:
        index = by(filed, "exact")
        mapped = index.replica.views().mapped
        assert mapped is not None
        np.testing.assert_array_equal(mapped.vectors, VECTORS)
        assert not mapped.vectors.flags.writeable
        assert len(index) == len(VECTORS)

    def test_is_used_as_it_is(self, filed: Store) -> None:
        before = [file.stat().st_mtime_ns for file in files(filed, "")]
        by(filed, "annoy").search(QUERIES, 1)
        assert [file.stat().st_mtime_ns for file in files(filed, "")] == before

    def test_many_changes_make_a_new_one(self, filed: Store) -> None:
        index = by(filed, "annoy")
        [old] = files(filed, ".vectors")
        more = people(12, 200)
        filed.add("staff", [new(vector) for vector in more])
        filed.delete_faces("staff", [face.face_id for face in filed.faces("staff").faces[:2000:2]])
        found = index.search(more[::16], 10)
        index.wait()
        [file] = files(filed, ".vectors")
        assert file != old
        assert len(files(filed, ".ann")) == 1
        assert index.replica.seen == index_file.read_manifest(index.replica.base)
        assert len(index) == 4000 + 1600 - 1000
        assert recall(index.search(more[::16], 10), found) >= 0.95
        truth = by(filed, "exact").search(more[::16], 10)
        assert recall(truth, found) >= 0.95

    def test_another_process_takes_the_new_one(self, filed: Store) -> None:
        mine, other = by(filed, "auto"), FaceIndex(filed, "staff", "m")
        old = other.replica.seen
        filed.add("staff", [new(vector) for vector in people(12, 200)])
        mine.search(QUERIES, 1)
        mine.wait()
        other.search(QUERIES, 1)
        other.wait()
        assert old != mine.replica.seen == other.replica.seen

    def test_small_collections_need_none(self, store: Store) -> None:
        store.add("staff", [new(vector) for vector in VECTORS[:500]])
        index = FaceIndex(store, "staff", "m")
        index.wait()
        assert len(index.search(VECTORS[:3], 5)[0]) == 5
        assert not (store.path.parent / "index").exists()

    def test_goes_with_its_collection(self, filed: Store) -> None:
        filed.delete_collection("staff")
        assert [*files(filed, ".vectors"), *files(filed, ".ann"), *files(filed, "manifest")] == []

    @pytest.mark.parametrize("ending", [".vectors", ".ann", ".manifest"])
    @pytest.mark.parametrize("damage", ["flip", "cut", "empty", "gone"])
    def test_a_damaged_file_is_not_used(self, filed: Store, ending: str, damage: str) -> None:
        for seed in range(3 if damage == "flip" else 1):
            [file] = files(filed, ending)
            data = bytearray(file.read_bytes())
            bad = bytearray(data)
            bad[random.Random(seed).randrange(len(bad))] ^= 1 << seed
            changed = {"flip": bad, "cut": data[: len(data) // 2], "empty": b"", "gone": None}
            content = changed[damage]
            file.unlink()
            if content is not None:
                file.write_bytes(content)
            assert not replica.Replica(filed, "staff", "m", "cosine", "faces").is_mapped
            index = FaceIndex(filed, "staff", "m")
            assert ids(index.search(VECTORS[:1], 1)[0])  # at once, without it
            index.wait()
            assert is_mapped(index)  # a new one was built
            assert [len(files(filed, each)) for each in (".vectors", ".ann", ".manifest")] == [
                1
            ] * 3

    def test_a_file_of_another_store_is_not_used(self, filed: Store, tmp_path: Path) -> None:
        """The store was deleted and filled again: the same numbers, other faces."""
        other = tmp_path / "other"
        with Store(other / "faces.db") as store:
            store.make_collection("staff", "m")
            vectors = people(13, 500)
            store.add("staff", [new(vector) for vector in vectors])
            shutil.copytree(filed.path.parent / "index", other / "index")
            assert not replica.Replica(store, "staff", "m", "cosine", "faces").is_mapped

    def test_a_file_newer_than_a_restored_store_is_not_used(
        self, filed: Store, built_store: Path
    ) -> None:
        """An older copy of the store was restored by hand, and changed in another way."""
        filed.add("staff", [new(vector) for vector in people(12, 200)])
        by(filed, "auto")
        filed.close()
        shutil.copy(built_store / "faces.db", filed.path)
        with Store(filed.path) as store:
            assert not replica.Replica(store, "staff", "m", "cosine", "faces").is_mapped
            store.add("staff", [new(vector) for vector in people(13, 250)])
            assert not replica.Replica(store, "staff", "m", "cosine", "faces").is_mapped

    def test_is_replaced_while_others_have_it_mapped(self, filed: Store) -> None:
        index = by(filed, "annoy")
        found = index.search(QUERIES, 10)
        for file in files(filed, ""):
            file.unlink()
        by(filed, "annoy")
        assert index.search(QUERIES, 10) == found

    def test_only_one_process_makes_it(self, filed: Store) -> None:
        [manifest] = files(filed, ".manifest")
        manifest.unlink()
        with manifest.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            index = FaceIndex(filed, "staff", "m")
            assert not is_mapped(index)  # it searches and inserts meanwhile
            [face] = filed.add("staff", [new(QUERIES[0])])
            assert ids(index.search(QUERIES[:1], 1)[0]) == [face.face_id]
        index.wait()
        assert is_mapped(index)

    def test_full_disk_leaves_the_search_without(
        self, filed: Store, caplog: pytest.LogCaptureFixture
    ) -> None:
        for file in [*files(filed, ".manifest"), *files(filed, ".vectors"), *files(filed, ".ann")]:
            file.unlink()
        limit = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, limit[1]))
        try:
            index = FaceIndex(filed, "staff", "m")
            index.wait()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        assert ids(index.search(VECTORS[:1], 1)[0])
        assert "no new index file, searching without: [Errno 27] File too large" in caplog.text
        assert files(filed, ".vectors") == files(filed, ".ann") == []

    def test_killed_while_making_it(self, filed: Store) -> None:
        """At any instant: the next process finds an intact file or none, and builds a new one."""
        context = multiprocessing.get_context("spawn")
        truth = by(filed, "exact").search(QUERIES, 10)
        filed.set_method("staff", "annoy")
        for seed in range(4):
            for manifest in files(filed, ".manifest"):
                manifest.unlink()
            reader, end = context.Pipe(duplex=False)
            maker = context.Process(target=_make_for_ever, args=(filed.path, end))
            maker.start()
            reader.recv()
            time.sleep(random.Random(seed).uniform(0, 0.5))
            maker.kill()
            maker.join(10)
            annoy = by(filed, "annoy")
            assert is_mapped(annoy)
            assert recall(truth, annoy.search(QUERIES, 10)) >= 0.95
            # Killed behind its manifest, it has left an intact file, and an older one beside it.
            index_builder.build(filed, "staff", "m", "cosine", "faces")
            assert len(files(filed, ".ann")) == 1, "files of the killed process are removed"


def _make_for_ever(path: Path, end: Connection) -> None:
    replica.MIN_FILE_CHANGES = 1000
    with Store(path) as store:
        end.send("begins")
        while True:
            for manifest in files(store, ".manifest"):
                manifest.unlink()
            index_builder.build(store, "staff", "m", "cosine", "faces")
