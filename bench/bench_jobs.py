"""Jobs over a long stored video: how many times faster than it plays, and how much memory.

    python -m bench.bench_jobs [--seconds 600] [--kinds FaceDetection,TextDetection] [--whole]

The video is made first: 1280 x 720, 30 frames per second, faces in half of it and text in the other
half. Each kind of job runs in a process of its own. `speed` is what two cores would do that are
always busy: seconds of the video, times two, by seconds of CPU; `wall` is what this machine did
with all else that runs on it. `--whole` decodes every frame as well, to compare.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import cv2
import numpy as np
from bench.support.long_video import make
from bench.support.machine import measured_with

from onlooker.cli.demo_video import photographs
from onlooker.config.jobs import Jobs
from onlooker.config.schema import Config
from onlooker.identity.faces import NewFace
from onlooker.identity.search.engines import open_searcher
from onlooker.jobs.job import Request
from onlooker.jobs.job_runner import JobRunner
from onlooker.jobs.job_store import JobStore
from onlooker.media.buckets import Folder
from onlooker.media.picture import Still
from onlooker.media.video_file import VideoFile
from onlooker.models.card import space
from onlooker.vision.analyser import Analyser, Wanted
from onlooker.vision.unindexed_reasons import passing

KINDS = ("FaceDetection", "TextDetection", "FaceSearch")
CORES = 2


def enrol(store: Path) -> None:
    """Make a collection with the person of the video among 1,000 others."""
    wanted = Wanted(text=False, select=passing("AUTO"))
    [analysis] = Analyser(Config())([Still(photographs().astronaut)], [wanted])
    others = np.random.default_rng(7).normal(size=(1000, space("mobilefacenet").dim))
    vectors = [analysis.faces[0].row[0], *(others / np.linalg.norm(others, axis=1)[:, None])]
    with open_searcher(store, space("mobilefacenet")) as searcher:
        searcher.create_collection("crew")
        searcher.add(
            "crew",
            [
                NewFace(
                    picture=b"%d" % number,
                    external_image_id=f"p{number}",
                    box=(0.1, 0.1, 0.2, 0.2),
                    confidence=99.0,
                    vector=vector.astype(np.float32),
                )
                for number, vector in enumerate(vectors)
            ],
        )


def run_one(folder: Path, kind: str) -> dict[str, float]:
    """Run one job in this process; return seconds, entries and memory."""
    cv2.setNumThreads(1)
    with JobStore(Jobs(folder=str(folder / f"jobs-{kind}"))) as jobs:
        asked = Request(
            kind=kind,  # type: ignore[arg-type]
            bucket="videos",
            name="long.mp4",
            collection="crew" if kind == "FaceSearch" else None,
        )
        job = jobs.find(jobs.start(asked, None))
        jobs.place(job.id).mkdir()
        searcher = open_searcher(folder / "faces.db", space("mobilefacenet"))
        runner = JobRunner(
            jobs,
            Config(),
            Folder(folder / "buckets"),
            lambda: searcher,
            CORES,
            threading.Event(),
            lambda: None,
        )
        before, began = cpu(), time.monotonic()
        runner.run(job)
        ended = jobs.find(job.id)
        assert ended.state == "SUCCEEDED", ended.message
        searcher.close()
        return {
            "wall": time.monotonic() - began,
            "cpu": cpu() - before,
            "frames": ended.frames,
            "entries": ended.results,
            "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }


def decode(folder: Path, sparse: bool) -> float:
    """Return the CPU seconds of decoding alone, for two frames a second."""
    before = cpu()
    with VideoFile(folder / "buckets" / "videos" / "long.mp4", digest="") as video:
        if sparse:
            for _ in video.chosen_frames("s", lambda index: index % 15 == 0, CORES):
                pass
        else:
            for _ in video.frames("s"):
                pass
    return cpu() - before


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--whole", action="store_true")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--one")
    given = parser.parse_args()
    if given.one:
        print(json.dumps(run_one(given.folder, given.one)))
        return
    with tempfile.TemporaryDirectory(prefix="onlooker-bench-jobs-") as made:
        folder = Path(made)
        (folder / "buckets" / "videos").mkdir(parents=True)
        path = make(folder / "buckets" / "videos" / "long.mp4", given.seconds)
        with VideoFile(path, digest="") as video:
            seconds = video.seconds or 0.0
        megabits = path.stat().st_size * 8 / 1e6 / seconds
        print(f"{measured_with()}\n{seconds:.0f} s of video, {megabits:.1f} Mbit/s")
        enrol(folder / "faces.db")
        print("kind            speed   wall  CPU ms/frame  frames  entries  MB")
        for kind in given.kinds.split(","):
            done = subprocess.run(
                [
                    sys.executable,
                    "-m",
                    "bench.bench_jobs",
                    "--one",
                    kind,
                    "--folder",
                    str(folder),
                ],
                check=True,
                capture_output=True,
                text=True,
            )
            found = json.loads(done.stdout.splitlines()[-1])
            speed, wall = seconds * CORES / found["cpu"], seconds / found["wall"]
            print(
                f"{kind:15} {speed:5.1f} x {wall:5.1f} x"
                f" {found['cpu'] / found['frames'] * 1000:9.1f} {found['frames']:10.0f}"
                f" {found['entries']:8.0f} {found['megabytes']:5.0f}",
                flush=True,
            )
        sparse = decode(folder, sparse=True)
        print(f"decoding alone, sparse: {seconds / sparse:.0f} x real time on one core")
        if given.whole:
            whole = decode(folder, sparse=False)
            print(f"every frame: {seconds / whole:.0f} x; sparse takes {sparse / whole:.2f} of it")


if __name__ == "__main__":
    main()
