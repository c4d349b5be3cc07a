import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from onlooker.identity import changes
from onlooker.identity.migrations import MIGRATIONS, metric_of, migrate
from onlooker.identity.search.index import FaceIndex
from onlooker.identity.store import Store

FORMATS = sorted((Path(__file__).parent / "formats").glob("*.sql"))
UNIT = np.array([[0.6, 0.8], [1, 0]], np.float32)


class TestMetric:
    def test_the_card_says_it(self) -> None:
        assert metric_of("mobilefacenet", 2 * UNIT) == "cosine"
        assert metric_of("dlib_resnet", UNIT) == "euclidean"

    def test_without_a_card_the_vectors_show_it(self) -> None:
        assert metric_of("unheard_of", UNIT) == "cosine"
        assert metric_of("unheard_of", np.concatenate([UNIT, 1.4 * UNIT])) == "euclidean"
        assert metric_of("unheard_of", np.empty((0, 0), np.float32)) == "cosine"


class TestMigrating:
    @pytest.mark.parametrize("version", range(len(MIGRATIONS)))
    def test_every_step_leads_to_the_same_tables(self, version: int) -> None:
        with (
            closing(sqlite3.connect(":memory:")) as old,
            closing(sqlite3.connect(":memory:")) as new,
        ):
            for number in range(version):
                old.executescript(MIGRATIONS[number])
            migrate(old, version)
            migrate(new, 0)
            tables = "SELECT name, sql FROM sqlite_master ORDER BY name"
            assert old.execute(tables).fetchall() == new.execute(tables).fetchall()
            assert old.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)

    def test_collections_of_format_2_keep_how_they_are_compared(self, tmp_path: Path) -> None:
        with closing(sqlite3.connect(tmp_path / "faces.db")) as old:
            old.executescript(FORMATS[1].read_text())
        with Store(tmp_path / "faces.db") as store:
            metrics = {one.name: one.metric for one in store.collections().collections}
            assert metrics == {"staff": "cosine", "guests": "euclidean", "others": "euclidean"}
            others = store.collection("others")
            assert (others.method, others.users, store.tags("others")) == (
                "exact",
                1,
                {"team": "red"},
            )
            query = np.array([[1.4, 0.3, 0]], np.float32)
            [[found]] = FaceIndex(store, "others", "unheard_of", "euclidean").search(query, 1)
            assert found.entry.user_id == "ann"
            assert found.value == pytest.approx(0.3)


class TestFormats:
    @pytest.mark.parametrize("file", FORMATS, ids=lambda file: file.stem)
    def test_every_older_format_is_upgraded(self, file: Path, tmp_path: Path) -> None:
        old = sqlite3.connect(tmp_path / "faces.db")
        old.executescript(file.read_text())
        (version,) = old.execute("PRAGMA user_version").fetchone()
        old.close()
        assert version == int(file.stem)
        with Store(tmp_path / "faces.db") as store:
            listed = [(one.name, one.faces, one.users) for one in store.collections().collections]
            assert listed[:2] == [("staff", 2, 0), ("guests", 1, 0)]
            assert store.collection("staff").metric == "cosine"
            assert store.collection("guests").metric == "euclidean"
            anna, nobody = store.faces("staff").faces
            assert (anna.face_id, anna.external_image_id) == (
                "c51d2890-1582-5700-a4d5-52db43292143",
                "anna",
            )
            assert nobody.external_image_id is None
            assert np.linalg.norm(store.vectors("staff", [anna.face_id])) == pytest.approx(1)
            assert changes.after(store.database, "staff", 4).deleted.tolist() == [5]
            store.delete_faces("staff", [nobody.face_id])
            store.create_user("staff", "ann")
            assert store.collection("staff").faces == 1
            [(version,)] = store.database.rows("PRAGMA user_version", ())
            assert version == len(MIGRATIONS)
            new_tables = _tables(store)
        with Store(tmp_path / "new.db") as store:
            assert _tables(store) == new_tables

    def test_every_format_has_a_file(self) -> None:
        assert [int(file.stem) for file in FORMATS] == list(range(1, len(MIGRATIONS)))


def _tables(store: Store) -> list[tuple[str]]:
    with store.database.reading() as database:
        return database.execute("SELECT sql FROM sqlite_master ORDER BY name").fetchall()
