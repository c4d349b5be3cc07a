from pathlib import Path

import pytest
from tests.support import postgres
from tests.support.stores import face

from onlooker.identity.errors import StoreError, StoreUnreachable
from onlooker.identity.postgres.postgres_connection import numbered, place_of
from onlooker.identity.store import Store


def test_values_are_numbered() -> None:
    assert numbered("SELECT 1") == b"SELECT 1"
    assert numbered("a = ? AND b IN (?,?)") == b"a = $1 AND b IN ($2,$3)"


def test_no_message_has_the_password() -> None:
    assert place_of("postgresql://ann:s3cret@db:5433/faces") == "postgresql://ann@db:5433/faces"
    url = "postgresql://ann:s3cret@127.0.0.1:9/faces"
    with pytest.raises(StoreUnreachable, match=r"ann@127\.0\.0\.1:9/faces") as caught:
        Store(Path("no file"), url)
    seen = [str(caught.value)]
    error: BaseException | None = caught.value
    while (error := error.__cause__ or error.__context__ if error else None) is not None:
        seen.append(str(error))
    assert "s3cret" not in "".join(seen)
    for bad in ("postgresql://ann:s3%cret@db/faces", "postgresql://ann:s3cret@db:x y/faces?a=b"):
        with pytest.raises(StoreError) as caught_bad:
            Store(Path("no file"), bad)
        assert "s3" not in str(caught_bad.value)
        assert "of the form postgresql://" in str(caught_bad.value)


def test_vectors_are_kept_to_the_last_bit() -> None:
    new = face(3)
    with Store(Path("no file"), postgres.database()) as store:
        store.make_collection("staff", "m")
        [stored] = store.add("staff", [new])
        assert store.vectors("staff", [stored.face_id])[0].tolist() == new.vector.tolist()
