"""Two servers for all tests of the API that change no settings."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.secured_server import secured_server
from tests.support.server import Running, running
from tests.support.stored_videos import TOPIC


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Run a server without keys, with a folder as buckets, jobs and a queue of notices."""
    folder = tmp_path_factory.mktemp("server")
    (folder / "buckets" / "mybucket").mkdir(parents=True)
    topics = f'"{TOPIC}" = "queue"\n"{TOPIC}2" = "queue:second"\n'
    toml = f'[serve]\nbuckets = "{folder / "buckets"}"\n[jobs]\n[topics]\n{topics}'
    with running(folder, toml) as started:
        yield started


@pytest.fixture(scope="session")
def bucket(server: Running) -> Path:
    """Return the folder that is the bucket `mybucket`."""
    return server.log.parent / "buckets" / "mybucket"


@pytest.fixture(scope="session")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Run a server with TLS and keys, which answers as in November 2017."""
    with secured_server(tmp_path_factory.mktemp("secured")) as started:
        yield started
