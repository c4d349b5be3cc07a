"""Replays on a cluster: the records are those of one machine, each once, and failures are named."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support import steps

from onlooker.config.schema import Config, Text
from onlooker.config.sinks import SinkConfig
from onlooker.config.tracking import People
from onlooker.stream.inline import inline
from onlooker.stream.outputs import Outputs
from onlooker.stream.ray_replay import ClusterError, Progress, records_of, replay_on_cluster

CONFIG = Config()


def quiet(progress: Progress) -> None:
    """A progress display that shows nothing."""


@pytest.fixture
def films(tmp_path: Path) -> list[Path]:
    folder = tmp_path / "films"
    folder.mkdir()
    return [steps.video(folder / f"film{n}.mp4", 10 + n) for n in range(3)]


def alone(film: Path, folder: Path) -> bytes:
    """Return the records that one process writes."""
    records = folder / f"alone-{film.stem}.jsonl"
    inline([film], CONFIG, Outputs(records=records), steps.quiet, steps.LIGHT)
    return records.read_bytes()


def test_a_task_returns_what_one_process_writes_or_says_why_not(
    films: list[Path], tmp_path: Path
) -> None:
    from onlooker.stream.equal_results import facts
    from onlooker.stream.feeds import named

    shared = (CONFIG, facts(CONFIG), steps.LIGHT, None)
    for name, source in named(films).items():
        expected = alone(tmp_path / "films" / f"{name}.mp4", tmp_path)
        assert records_of(name, source, shared) == expected
    [(name, source)] = named([tmp_path / "missing.mp4"]).items()
    assert "missing.mp4" in str(records_of(name, source, shared))
    other = (CONFIG, {**facts(CONFIG), "numpy": "0.1"}, steps.LIGHT, None)
    assert "numpy" in str(records_of(name, source, other))


def test_without_ray_it_is_said_how_to_get_it(
    films: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ClusterError, match=r'pip install "onlooker\[ray\]"'):
        replay_on_cluster(films, CONFIG, tmp_path / "out", "local", quiet, steps.LIGHT)


@pytest.fixture
def cluster() -> Iterator[Any]:
    """Two nodes on this machine."""
    ray = pytest.importorskip("ray", reason="Ray is not installed")
    from ray.cluster_utils import Cluster

    from onlooker.stream.ray_replay import _variables

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    made.add_node(num_cpus=1)
    ray.init(address=made.address, log_to_driver=False, runtime_env={"env_vars": _variables()})
    yield made
    ray.shutdown()
    made.shutdown()  # type: ignore[no-untyped-call]


@pytest.mark.filterwarnings("ignore")
def test_every_record_is_there_once_though_a_node_is_killed(
    films: list[Path], tmp_path: Path, cluster: Any
) -> None:
    bad = tmp_path / "films" / "damaged.mp4"
    bad.write_bytes(b"no video")
    out = tmp_path / "out"
    killed = False

    def kill(progress: Progress) -> None:
        nonlocal killed
        if progress.done and not killed:
            killed = True
            cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)

    found = replay_on_cluster([*films, bad], CONFIG, out, cluster.address, kill, steps.LIGHT)
    assert killed
    assert sorted(found.done) == [film.stem for film in films]
    assert list(found.failed) == ["damaged"]
    assert "damaged.mp4" in found.failed["damaged"]
    for film in films:
        assert (out / f"{film.stem}.jsonl").read_bytes() == alone(film, tmp_path)
    again = replay_on_cluster([*films, bad], CONFIG, out, cluster.address, quiet, steps.LIGHT)
    assert sorted(again.earlier) == [film.stem for film in films]
    assert list(again.failed) == ["damaged"]
    other = Config(text=Text(min_score=0.7))
    refused = replay_on_cluster(films, other, out, cluster.address, quiet, steps.LIGHT)
    assert (refused.done, refused.earlier) == ([], [])
    assert all("holds other records" in cause for cause in refused.failed.values())


@pytest.mark.parametrize(
    ("config", "says"),
    [
        (Config(people=People(enabled=True)), "unknown people"),
        (
            Config(sinks={"a": SinkConfig(kind="webhook", url="http://127.0.0.1:1/")}),
            r"\[sinks\]: they follow the log of one machine",
        ),
    ],
    ids=["people", "sinks"],
)
def test_what_needs_one_machine_is_refused(
    config: Config, says: str, films: list[Path], tmp_path: Path
) -> None:
    pytest.importorskip("ray", reason="Ray is not installed")
    with pytest.raises(ClusterError, match=says):
        replay_on_cluster(films, config, tmp_path / "out", "local", quiet, steps.LIGHT)
