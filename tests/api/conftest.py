"""A server for all tests of the API that change none of its settings."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.server import Running, running


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Without keys, with a folder as buckets."""
    folder = tmp_path_factory.mktemp("server")
    (folder / "buckets" / "mybucket").mkdir(parents=True)
    with running(folder, f'[serve]\nbuckets = "{folder / "buckets"}"\n') as one:
        yield one


@pytest.fixture(scope="session")
def bucket(server: Running) -> Path:
    """The folder that is the bucket `mybucket`."""
    return server.log.parent / "buckets" / "mybucket"
