"""Counts for Prometheus."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client import REGISTRY, generate_latest

from onlooker.api import metrics
from onlooker.models import model

COUNT = """
from onlooker.api import metrics
metrics.REQUESTS.labels("ListFaces", "200").inc()
metrics.PENDING.labels("images").set(3)
"""


def test_counts_of_all_processes_are_added_up_in_a_process_that_counts_elsewhere(
    tmp_path: Path,
) -> None:
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    for _ in range(2):
        subprocess.run([sys.executable, "-c", COUNT], env=environment, check=True, timeout=60)
    text = generate_latest(metrics.registry(str(tmp_path))).decode()
    assert 'onlooker_requests_total{operation="ListFaces",result="200"} 2.0' in text
    # Of queues only those of processes that live are counted.
    assert 'onlooker_pending{queue="images"}' in text


def test_the_run_time_of_models_is_added_once(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = [5.0]
    monkeypatch.setattr(model, "seconds", lambda: seconds[0])

    def counted() -> float:
        return REGISTRY.get_sample_value("onlooker_model_seconds_total") or 0.0

    before, since = counted(), metrics.ModelSeconds()
    since.update()
    assert counted() == before
    seconds[0] = 7.5
    since.update()
    since.update()
    assert counted() == before + 2.5
