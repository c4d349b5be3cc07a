"""Processes that cannot be started again at once."""

import subprocess
import sys
from pathlib import Path

import pytest

from onlooker.api.listener import Orders, ServeError
from onlooker.api.server import Worker, Workers
from onlooker.config.schema import Config


@pytest.fixture
def workers(tmp_path: Path) -> Workers:
    """One process, which has not been started."""
    orders = Orders(settings=Config(), store=tmp_path, address=("127.0.0.1", 0), threads=1)
    return Workers(orders, 1)


def test_what_cannot_be_started_is_tried_again_later(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/none")
    with pytest.raises(ServeError, match="No such file"):
        workers.run([], lambda _: None)
    workers._said = True
    worker = Worker()
    workers._watch(worker)
    assert worker.process is None
    assert worker.wait == 2
    tried = worker.due
    workers._watch(worker)
    assert worker.due == tried > 0


def test_one_that_dies_before_it_is_told_anything_is_buried(
    workers: Workers, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    dead = subprocess.Popen(["false"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    dead.wait()
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: dead)
    workers._said = True
    worker = Worker()
    workers._watch(worker)
    workers._watch(worker)
    assert worker.process is None
    assert worker.wait == 2
