"""The places of stores: a file of SQLite, and a database of PostgreSQL."""

from pathlib import Path

import pytest
from tests.support import postgres
from tests.support.stores import Place


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Return path and URL of an empty store of each kind."""
    return tmp_path / "faces.db", None if request.param == "sqlite" else postgres.database()
