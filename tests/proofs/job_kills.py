"""Kill the processes of stored-video jobs at random instants, and compare what comes of the jobs.

    python -m tests.proofs.job_kills --jobs 40 --kills 100 --seed 7

The jobs are of all kinds, over two short videos, with the real models; a second run without kills
says what is right. Exits with 1 if a job does not end, ends twice, has other results (to the byte)
or other than one notice, or if anything is left on the disk after the time of its results. The seed
repeats a run, up to the timing of the operating system.
"""

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import cv2
from msgspec.structs import replace
from tests.support.stored_videos import BUCKET, TOPIC, make_video

from onlooker.cli.demo_video import photographs
from onlooker.config.jobs import Jobs
from onlooker.config.schema import Config
from onlooker.config.serving import Serve
from onlooker.identity.faces import NewFace
from onlooker.identity.search.engines import open_searcher
from onlooker.jobs import job_processes
from onlooker.jobs.job import Job, Request
from onlooker.jobs.job_store import JobStore
from onlooker.jobs.result_file import NAME, page
from onlooker.media.picture import Still
from onlooker.models.card import space
from onlooker.vision.analyser import Analyser, Wanted
from onlooker.vision.unindexed_reasons import passing

KINDS = ("FaceDetection", "FaceSearch", "TextDetection", "PersonTracking")
VIDEOS = ("one.mp4", "two.mp4")
SECONDS = (5, 8)
MAX_LIFE_SECONDS = 6.0
"""A process is killed within this time after its start."""
MAX_SECONDS = 3000.0


def requests(number: int) -> list[Request]:
    """Return the parameters of the jobs, of each kind over each video in turn."""
    return [
        Request(
            kind=(kind := KINDS[one % len(KINDS)]),  # type: ignore[arg-type]
            bucket=BUCKET,
            name=VIDEOS[one // len(KINDS) % len(VIDEOS)],
            collection="crew" if kind == "FaceSearch" else None,
            topic=TOPIC,
        )
        for one in range(number)
    ]


def prepare(folder: Path, seconds: Sequence[int]) -> Config:
    """Make videos of these lengths and a collection; return the settings of a run."""
    bucket = folder / "buckets" / BUCKET
    bucket.mkdir(parents=True)
    for number, (name, length) in enumerate(zip(VIDEOS, seconds, strict=True)):
        make_video(bucket / name, length, shift=5 * number)
    wanted = Wanted(text=False, select=passing("AUTO"))
    [analysis] = Analyser(Config())([Still(photographs().astronaut)], [wanted])
    with open_searcher(folder / "faces.db", space("mobilefacenet")) as searcher:
        searcher.create_collection("crew")
        new = NewFace(
            picture=cv2.imencode(".png", photographs().astronaut)[1].tobytes(),
            external_image_id="eileen",
            box=(0.1, 0.1, 0.2, 0.2),
            confidence=99.0,
            vector=analysis.faces[0].row[0],
        )
        searcher.add("crew", [new])
    return Config(serve=Serve(buckets=str(folder / "buckets")), topics={TOPIC: "queue"})


class Killer:
    """Kills a process some time after each of its starts, until `kills` are done."""

    def __init__(self, kills: int, seed: int) -> None:
        self.left = kills
        self.drawn: Counter[str] = Counter()
        self._random = random.Random(seed)
        self._due: dict[int, float] = {}

    def __call__(self, pids: list[int], jobs: JobStore) -> None:
        now = time.monotonic()
        for pid in pids:
            if pid not in self._due:
                self._due[pid] = now + self._random.uniform(0, MAX_LIFE_SECONDS)
            if self.left and now >= self._due[pid]:
                begun = [job for job in jobs.jobs() if job.state == "IN_PROGRESS" and job.begun]
                os.kill(pid, signal.SIGKILL)
                self._due[pid] = now + 3600
                self.left -= 1
                self.drawn["while a job was worked on" if begun else "between jobs"] += 1
                print(f"\r{self.drawn.total()} killed ", end="", flush=True)


def run(
    folder: Path, config: Config, asked: list[Request], killer: Killer | None
) -> tuple[list[Job], JobStore]:
    """Run jobs to their end; return them in order, and their store, which is open.

    While the killer is not done, jobs are asked for again.
    """
    jobs = JobStore(config.jobs, config.topics)
    waiting = list(asked)
    ids: list[str] = []
    end = time.monotonic() + MAX_SECONDS
    with job_processes.running(config, folder / "faces.db") as processes:
        while waiting or any(jobs.is_open(id) for id in ids):
            if time.monotonic() > end:
                break
            while waiting and _open(jobs) < 20:
                ids.append(jobs.start(waiting.pop(0), f"token-{len(ids)}"))
            if not waiting and killer is not None and killer.left:
                waiting = list(asked)
            processes.wait(0.01)
            processes.watch()
            if killer is not None:
                killer([each.id for each in processes.processes() if each.id], jobs)
    return [jobs.find(id) for id in ids], jobs


def _open(jobs: JobStore) -> int:
    return sum(job.state == "IN_PROGRESS" for job in jobs.jobs())


def results(jobs: JobStore, job: Job) -> object:
    """Return the entries of a job in both orders, or why it has none."""
    if job.state != "SUCCEEDED":
        return job.message
    path = jobs.place(job.id) / NAME
    return [page(path, "TIMESTAMP", 0, 10**6), page(path, "INDEX", 0, 10**6), job.frames]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=40)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument(
        "--seconds", type=int, nargs=len(VIDEOS), default=SECONDS, help="of the videos"
    )
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    given = parser.parse_args()
    print(f"seed {given.seed}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = prepare(folder, given.seconds)
        asked = requests(given.jobs)
        distinct = list(dict.fromkeys(asked))
        calm = replace(config, jobs=Jobs(folder=str(folder / "calm"), workers=2))
        undisturbed, store = run(folder, calm, distinct, None)
        truth = {job.request: results(store, job) for job in undisturbed}
        store.close()
        killer = Killer(given.kills, given.seed)
        wild = replace(config, jobs=Jobs(folder=str(folder / "wild"), workers=2))
        began = time.monotonic()
        jobs, store = run(folder, wild, asked, killer)
        seconds = time.monotonic() - began
        ended = sum(job.state == "SUCCEEDED" for job in jobs)
        differ = sum(results(store, job) != truth[job.request] for job in jobs)
        rows = store.database.rows("SELECT id, body FROM messages")
        announced = Counter(
            json.loads(json.loads(str(body))["Message"])["JobId"] for _, body in rows
        )
        once = announced == {job.id: 1 for job in jobs} and len({id for id, _ in rows}) == len(rows)
        with store.database.changing() as database:
            database.execute("UPDATE jobs SET ended = 0")
        store.expire()
        left = [path for path in store.folder.iterdir() if path.is_dir()]
        rows_left = store.database.rows("SELECT count(*) FROM jobs")[0][0]
        store.close()
    for what, number in sorted(killer.drawn.items()):
        print(f"\rkilled {what:28} {number:5}")
    print(f"{len(jobs)} jobs in {seconds:.0f} s, {killer.drawn.total()} kills")
    print(f"succeeded {ended}, other results {differ}, one notice each {once}")
    print(f"left behind: {len(left)} folders, {rows_left} rows")
    good = ended == len(jobs) >= given.jobs and not differ and once and not left and not rows_left
    good = good and killer.left == 0
    print("every job has ended once, as without kills" if good else "WRONG")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
