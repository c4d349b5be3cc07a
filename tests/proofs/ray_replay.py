"""Replay many short videos on a Ray cluster of two local nodes, and kill one in the middle.

    python -m tests.proofs.ray_replay --videos 200

Light steps stand in for the models. Exits with 1 unless every video has the records that one
process writes, each once.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import ray
from ray.cluster_utils import Cluster
from tests.support import steps

from onlooker.config.schema import Config
from onlooker.stream.inline import inline
from onlooker.stream.outputs import Outputs
from onlooker.stream.ray_replay import Progress, _variables, replay_on_cluster


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--videos", type=int, default=200)
    number = parser.parse_args().videos
    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False}
    )
    cluster.add_node(num_cpus=1)
    ray.init(address=cluster.address, log_to_driver=False, runtime_env={"env_vars": _variables()})
    with tempfile.TemporaryDirectory() as name:
        folder, out = Path(name), Path(name) / "out"
        videos = [steps.video(folder / f"video{n}.mp4", 5 + n % 20) for n in range(number)]
        killed: list[int] = []

        def kill(progress: Progress) -> None:
            if not killed and len(progress.done) >= number // 2:
                killed.append(len(progress.done))
                cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)

        began = time.monotonic()
        found = replay_on_cluster(videos, Config(), out, cluster.address, kill, steps.LIGHT)
        seconds = time.monotonic() - began
        different, lost, twice = 0, 0, 0
        for video in videos:
            truth = folder / f"{video.stem}.jsonl"
            inline([video], Config(), Outputs(records=truth), steps.quiet, steps.LIGHT)
            expected, path = truth.read_bytes(), out / f"{video.stem}.jsonl"
            written = path.read_bytes() if path.exists() else b""
            lines = written.splitlines()
            different += written != expected
            lost += len(set(expected.splitlines()) - set(lines))
            twice += len(lines) - len(set(lines))
    ray.shutdown()
    cluster.shutdown()  # type: ignore[no-untyped-call]
    print(
        f"{len(found.done)} of {number} videos in {seconds:.0f} s, a node killed after "
        f"{killed}; failed {found.failed}; records lost {lost}, twice {twice}; "
        f"files that differ {different}"
    )
    return 0 if killed and not (different or lost or twice or found.failed) else 1


if __name__ == "__main__":
    sys.exit(main())
