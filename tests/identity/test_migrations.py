import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from onlooker.identity import migrations
from onlooker.identity.migrations import metric_of, migrate
from onlooker.identity.search.index import FaceIndex
from onlooker.identity.store import Store

FORMATS = Path(__file__).parent / "formats"
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
    @pytest.mark.parametrize("version", range(len(migrations.MIGRATIONS)))
    def test_every_step_leads_to_the_same_tables(self, version: int) -> None:
        with (
            closing(sqlite3.connect(":memory:")) as old,
            closing(sqlite3.connect(":memory:")) as new,
        ):
            for number in range(version):
                old.executescript(migrations.MIGRATIONS[number])
            migrate(old, version)
            migrate(new, 0)
            tables = "SELECT name, sql FROM sqlite_master ORDER BY name"
            assert old.execute(tables).fetchall() == new.execute(tables).fetchall()
            assert old.execute("PRAGMA user_version").fetchone() == (len(migrations.MIGRATIONS),)

    def test_collections_of_format_2_keep_how_they_are_compared(self, tmp_path: Path) -> None:
        with closing(sqlite3.connect(tmp_path / "faces.db")) as old:
            old.executescript((FORMATS / "2.sql").read_text())
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
