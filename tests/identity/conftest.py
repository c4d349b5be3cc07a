"""The places of stores: a file of SQLite, and a database of PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support import postgres
from tests.support.stores import Place

from onlooker.identity.database import Database


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Return path and URL of an empty store of each kind."""
    return tmp_path / "faces.db", None if request.param == "sqlite" else postgres.database()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(tmp_path / "numbers.db")
    opened.write(lambda each: each.execute("CREATE TABLE numbers (number INTEGER UNIQUE)"))
    yield opened
    opened.close()
