"""A short stored video with a face and text for jobs, and jobs in a folder of the test's own."""

from pathlib import Path

from tests.support import films

from onlooker.cli.demo_video import View, photographs, render
from onlooker.config.jobs import Jobs
from onlooker.jobs.job import Job, Request
from onlooker.jobs.job_store import JobStore
from onlooker.media.picture import Pixels

RATE, SECONDS = 30, 4
MOVES = 3
"""Frames from one move of the face to the next: jobs analyse every sixth frame or every 15th."""
BUCKET, NAME = "films", "short.mp4"
TOPIC = "arn:aws:sns:us-east-1:000000000000:AmazonRekognitionDone"
ROLE = "arn:aws:iam::000000000000:role/unused"


def make_video(path: Path, seconds: int = SECONDS, shift: int = 0) -> Path:
    """Write a video: first a face that moves, then a page of text."""
    photos = photographs()
    count = seconds * RATE
    page = render(photos.page, View(x=190, y=95, width=384))
    images: list[Pixels] = []
    for number in range(count):
        if number >= count // 2:
            images.append(page)
        elif number % MOVES:
            images.append(images[-1])
        else:
            view = View(x=224 + number / 4 + shift, y=130, width=420)
            images.append(render(photos.astronaut, view))
    pts = range(1, count + 1)
    options = {"g": "30", "bf": "2", "preset": "ultrafast"}
    return films.write(
        path,
        images=images,
        rate=RATE,
        pts=pts,
        options=options,
    )


def request(kind: str = "FaceDetection", **more: object) -> Request:
    """Return the parameters of a job over that video."""
    return Request(**{"kind": kind, "bucket": BUCKET, "name": NAME, **more})  # type: ignore[arg-type]


def store(folder: Path, **settings: object) -> JobStore:
    """Return the jobs in a folder; the topic's notices go to a queue of its name."""
    jobs = Jobs(**{"folder": str(folder / "jobs"), **settings})  # type: ignore[arg-type]
    return JobStore(jobs, {TOPIC: "queue"})


def started(jobs: JobStore, kind: str = "FaceDetection", **more: object) -> Job:
    """Start a job without a token."""
    return jobs.find(jobs.start(request(kind, **more), None))
