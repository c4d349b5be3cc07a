"""Tables that an older release made."""

from pathlib import Path

import msgspec
import psycopg
import pytest
from tests.support import postgres, stores

from onlooker.identity import backup
from onlooker.identity.errors import StoreError
from onlooker.identity.search.index import FaceIndex
from onlooker.identity.store import Store

FORMATS = Path(__file__).parent / "formats"
SHAPE = """
    SELECT table_name::text, column_name::text, data_type::text, is_nullable::text
    FROM information_schema.columns WHERE table_schema = 'onlooker' ORDER BY 1, 2
"""
INDEXES = "SELECT indexdef FROM pg_indexes WHERE schemaname = 'onlooker' ORDER BY 1"
STORAGE = """
    SELECT attstorage::text FROM pg_attribute
    WHERE attrelid = 'faces'::regclass AND attname = 'vector'
"""


def test_tables_of_0_2_0_become_those_of_today(tmp_path: Path) -> None:
    """Vectors of pgvector become plain ones, to the last bit, and its indexes go."""
    url, fresh = postgres.database(), postgres.database()
    with psycopg.connect(url, autocommit=True) as database:
        database.execute((FORMATS / "1.sql").read_bytes())
    for new in stores.filled(tmp_path / "new.db"):
        expected = stores.everything(new, "staff")
    with Store(tmp_path / "old.db", url) as old, Store(tmp_path / "fresh.db", fresh) as today:
        found = stores.everything(old, "staff")
        for one in (found, expected):  # times, and the ids of unnamed faces, are of their day
            one["collection"] = msgspec.structs.replace(one["collection"], created=0.0)
            one["faces"] = [msgspec.structs.replace(face, face_id="") for face in one["faces"]]
        assert found == expected
        for query in (SHAPE, INDEXES, STORAGE):
            rows = old.database.rows(query, ())
            assert rows
            assert rows == today.database.rows(query, ())
        assert list(backup.verify(old)) == []
        vector = old.vectors("staff", [old.faces("staff").faces[5].face_id])
        [[best]] = FaceIndex(old, "staff", "m").search(vector, 1)
        assert best.entry == old.faces("staff").faces[5]
        old.add("staff", [stores.new(200)])
    with Store(tmp_path / "old.db", url) as again:
        assert again.collection("staff").faces == len(expected["faces"]) + 1


def test_of_a_newer_version(tmp_path: Path) -> None:
    url = postgres.database()
    with Store(tmp_path / "faces.db", url) as store:
        store.database.write(lambda each: each.execute("UPDATE format SET version = 99"))
    with pytest.raises(StoreError, match="format 99, made by a newer Onlooker"):
        Store(tmp_path / "faces.db", url)
