"""Stores with and without an index file."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.indexes import VECTORS, InThisProcess, new
from tests.support.stores import Place

from onlooker.identity.search import index_builder, replica
from onlooker.identity.store import Store


@pytest.fixture
def store(place: Place) -> Iterator[Store]:
    with Store(*place) as opened:
        opened.make_collection("staff", "m")
        yield opened


@pytest.fixture(scope="module")
def built_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a store of VECTORS, searched by Annoy, and its index file."""
    folder = tmp_path_factory.mktemp("built_store")
    with pytest.MonkeyPatch.context() as patch, Store(folder / "faces.db") as store:
        patch.setattr(replica, "MIN_FILE_CHANGES", 1000)
        store.make_collection("staff", "m", method="annoy")
        store.add("staff", [new(vector) for vector in VECTORS])
        index_builder.build(store, "staff", "m", "cosine", "faces")
    return folder


@pytest.fixture
def filed(built_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """Open a copy of it, and let a thousand changes be enough for a new file."""
    monkeypatch.setattr(replica, "MIN_FILE_CHANGES", 1000)
    monkeypatch.setattr("onlooker.identity.search.index.Builder", InThisProcess)
    shutil.copytree(built_store, tmp_path, dirs_exist_ok=True)
    with Store(tmp_path / "faces.db") as opened:
        yield opened
