"""Servers, the AWS CLI and the demo's video, for all tests of the API that do not change them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.aws_cli import AwsCli
from tests.support.secured_server import secured_server
from tests.support.server import Running, running
from tests.support.stored_videos import TOPIC

from onlooker.cli.demo_video import make_video


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Run a server without keys, with a folder as buckets, jobs and a queue of notices."""
    folder = tmp_path_factory.mktemp("server")
    (folder / "buckets" / "mybucket").mkdir(parents=True)
    topics = f'"{TOPIC}" = "queue"\n"{TOPIC}2" = "queue:second"\n'
    toml = f'[serve]\nthreads = 1\nbuckets = "{folder / "buckets"}"\n'
    toml += f"[jobs]\nthreads = 1\n[topics]\n{topics}"
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


@pytest.fixture(scope="session")
def aws() -> Iterator[AwsCli]:
    started = AwsCli()
    yield started
    started.close()


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the output of `make demo`."""
    folder = tmp_path_factory.mktemp("demo")
    make_video(folder)
    return folder
