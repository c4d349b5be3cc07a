"""One job from its video to its results, with the real models."""

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support import films
from tests.support.stored_videos import BUCKET, NAME, make_video, started, store

from onlooker.cli.demo_video import photographs
from onlooker.config.schema import Config
from onlooker.identity.faces import NewFace
from onlooker.identity.search.engines import open_searcher
from onlooker.identity.search.searcher import Searcher
from onlooker.jobs import job_runner
from onlooker.jobs.errors import JobError
from onlooker.jobs.job import Job
from onlooker.jobs.job_runner import JobRunner, Stopped
from onlooker.jobs.job_store import JobStore
from onlooker.jobs.result_file import NAME as RESULTS
from onlooker.jobs.result_file import Order, page
from onlooker.media.buckets import Buckets, Folder, open_buckets
from onlooker.media.picture import Still
from onlooker.models.card import space
from onlooker.vision.analyser import Analyser, Wanted
from onlooker.vision.unindexed_reasons import passing


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with buckets, whose video is short, and a collection."""
    folder = tmp_path_factory.mktemp("runner")
    (folder / "buckets" / BUCKET).mkdir(parents=True)
    make_video(folder / "buckets" / BUCKET / NAME)
    photograph = Still(photographs().astronaut)
    wanted = Wanted(text=False, select=passing("AUTO"))
    [analysis] = Analyser(Config())([photograph], [wanted])
    vector = analysis.faces[0].vector
    assert vector is not None
    with open_searcher(folder / "faces.db", space("mobilefacenet")) as searcher:
        searcher.create_collection("crew")
        new = NewFace(
            picture=b"image",
            external_image_id="eileen",
            box=(0.1, 0.1, 0.2, 0.2),
            confidence=99.0,
            vector=vector,
        )
        searcher.add("crew", [new])
    return folder


class Runner:
    """A runner whose models stay loaded for all tests."""

    def __init__(self, folder: Path, threads: int = 2) -> None:
        self.folder = folder
        self.stop = threading.Event()
        self.beats = 0
        self._threads = threads
        self._made: JobRunner | None = None

    def __call__(self, jobs: JobStore, buckets: Buckets | None = None) -> JobRunner:
        self.stop.clear()
        found = buckets or open_buckets(str(self.folder / "buckets"))
        made = JobRunner(
            jobs, Config(), found, self._searcher, self._threads, self.stop, self._beat
        )
        if self._made is not None:
            made._free = self._made._free
        self._made = made
        return made

    def _searcher(self) -> Searcher:
        return open_searcher(self.folder / "faces.db", space("mobilefacenet"))

    def _beat(self) -> None:
        self.beats += 1


@pytest.fixture(scope="module")
def runner(folder: Path) -> Runner:
    return Runner(folder)


def run(jobs: JobStore, runner: JobRunner, job: Job) -> Job:
    jobs.place(job.id).mkdir(exist_ok=True)
    runner.run(job)
    return jobs.find(job.id)


def entries(jobs: JobStore, job: Job, order: Order = "TIMESTAMP") -> list[dict[str, Any]]:
    found, more = page(jobs.place(job.id) / RESULTS, order, 0, 100_000)
    assert more is None
    return [
        {
            "time": each.time,
            "person": each.person,
            "body": json.loads(each.body),
            "matches": json.loads(each.matches) if each.matches else None,
        }
        for each in found
    ]


def test_faces(tmp_path: Path, runner: Runner) -> None:
    with store(tmp_path) as jobs:
        job = run(jobs, runner(jobs), started(jobs))
        assert (job.state, job.message, job.frames) == ("SUCCEEDED", None, 8)
        found = entries(jobs, job)
        # Two a second; the first frame is at 33 ms, and there is a face in the first half.
        assert [each["time"] for each in found] == [33, 533, 1033, 1533]
        assert job.results == len(found)
        assert list(found[0]["body"]) == [
            "BoundingBox",
            "Landmarks",
            "Pose",
            "Quality",
            "Confidence",
        ]
        assert job.metadata is not None
        assert job.metadata.Codec == "h264"
        assert job.metadata.Format == "QuickTime / MOV"
        assert (job.metadata.FrameWidth, job.metadata.FrameHeight) == (1280, 720)
        assert (job.metadata.FrameRate, job.metadata.DurationMillis) == (30.0, 4000)
        assert job.metadata.ColorRange == "LIMITED"
        assert {path.name for path in jobs.place(job.id).iterdir()} == {RESULTS}
    assert runner.beats >= 8


def test_all_attributes_but_those_that_videos_do_not_have(tmp_path: Path, runner: Runner) -> None:
    with store(tmp_path) as jobs:
        job = run(jobs, runner(jobs), started(jobs, attributes="ALL"))
        members = entries(jobs, job)[0]["body"]
        assert {"AgeRange", "Smile", "Emotions", "MouthOpen"} <= set(members)
        assert not {"FaceOccluded", "EyeDirection"} & set(members)


def test_text(tmp_path: Path, runner: Runner) -> None:
    with store(tmp_path) as jobs:
        job = run(jobs, runner(jobs), started(jobs, "TextDetection"))
        found = entries(jobs, job)
        assert job.frames == 4
        assert {each["time"] for each in found} >= {2033, 3033}
        assert {each["time"] for each in found} <= {33, 1033, 2033, 3033}
        page = [each["body"] for each in found if each["time"] == 3033]
        assert [each["Id"] for each in page] == list(range(len(page)))
        assert "ParentId" in page[-1]


def test_people_have_the_name_of_their_track(tmp_path: Path, runner: Runner) -> None:
    with store(tmp_path) as jobs:
        job = run(jobs, runner(jobs), started(jobs, "FaceSearch", collection="crew"))
        assert job.state == "SUCCEEDED", job.message
        found = entries(jobs, job)
        assert [each["time"] for each in found] == list(range(33, 2000, 200))
        assert {each["person"] for each in found} == {0}
        assert len({json.dumps(each["matches"]) for each in found}) == 1
        [match] = found[0]["matches"]
        assert match["Face"]["ExternalImageId"] == "eileen"
        assert match["Similarity"] > 90
        by_person = entries(jobs, job, "INDEX")
        scores = [each["body"]["Confidence"] for each in by_person]
        assert scores == sorted(scores, reverse=True)

        other = run(jobs, runner(jobs), started(jobs, "PersonTracking"))
        paths = entries(jobs, other)
        assert [each["time"] for each in paths] == [each["time"] for each in found]
        assert all(each["matches"] is None for each in paths)


@pytest.mark.parametrize("kind", ["FaceDetection", "TextDetection", "FaceSearch"])
def test_the_same_bytes_after_any_number_of_stops(
    tmp_path: Path, runner: Runner, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = {"collection": "crew"} if kind == "FaceSearch" else {}
    with store(tmp_path) as jobs:
        whole = run(jobs, runner(jobs), started(jobs, kind, **more))
        stopped = started(jobs, kind, **more)
        monkeypatch.setattr(job_runner, "COMMIT_SECONDS", 0.0)
        stops = 0
        while jobs.is_open(stopped.id):
            one = runner(jobs)
            runner.stop.set()  # after each frame
            try:
                run(jobs, one, stopped)
            except Stopped:
                stops += 1
        assert stops >= 3
        files = [jobs.place(each.id) / RESULTS for each in (whole, stopped)]
        for order in ("TIMESTAMP", "INDEX"):
            one_page, other_page = (page(file, order, 0, 10_000) for file in files)
            assert one_page == other_page
        assert jobs.find(stopped.id).frames == whole.frames


def failing(
    folder: Path, tmp_path: Path, runner: Runner, make: Callable[[Path], object], **settings: object
) -> str:
    """Return the message of a job over what `make` writes; its files are gone."""
    buckets = tmp_path / "buckets"
    (buckets / BUCKET).mkdir(parents=True)
    make(buckets / BUCKET / NAME)
    with store(tmp_path, **settings) as jobs:
        job = run(jobs, runner(jobs, Folder(buckets)), started(jobs))
        assert job.state == "FAILED"
        assert list(jobs.place(job.id).iterdir()) == []
        assert str(tmp_path) not in str(job.message).replace(str(buckets / BUCKET / NAME), "")
        return str(job.message)


def test_what_is_no_video(folder: Path, tmp_path: Path, runner: Runner) -> None:
    text = failing(folder, tmp_path, runner, lambda path: path.write_text("no video" * 1000))
    assert "not a video that can be read" in text


def test_what_is_not_there(folder: Path, tmp_path: Path, runner: Runner) -> None:
    assert "no object" in failing(folder, tmp_path, runner, lambda path: None)


def test_what_is_too_large(folder: Path, tmp_path: Path, runner: Runner) -> None:
    text = failing(folder, tmp_path, runner, lambda path: films.write(path), max_gigabytes=1e-6)
    assert "1000 are allowed" in text


def test_what_is_too_long(folder: Path, tmp_path: Path, runner: Runner) -> None:
    text = failing(folder, tmp_path, runner, lambda path: films.write(path), max_hours=1e-5)
    assert "raise [jobs] max_hours" in text


def test_a_collection_that_was_deleted(tmp_path: Path, runner: Runner) -> None:
    with store(tmp_path) as jobs:
        job = run(jobs, runner(jobs), started(jobs, "FaceSearch", collection="gone"))
        assert job.state == "FAILED"
        assert "gone" in str(job.message)


def test_a_damaged_video_has_results_and_a_remark(tmp_path: Path, runner: Runner) -> None:
    buckets = tmp_path / "buckets"
    (buckets / BUCKET).mkdir(parents=True)
    data = bytearray((runner.folder / "buckets" / BUCKET / NAME).read_bytes())
    data[len(data) // 3 : len(data) // 3 + 30_000] = bytes(30_000)
    (buckets / BUCKET / NAME).write_bytes(data)
    with store(tmp_path) as jobs:
        job = run(jobs, runner(jobs, Folder(buckets)), started(jobs))
        assert job.state == "SUCCEEDED"
        assert "frames could not be decoded" in str(job.message)


def test_a_job_that_kills_its_process_fails_in_the_end(tmp_path: Path, runner: Runner) -> None:
    with store(tmp_path) as jobs:
        job = started(jobs)
        for _ in range(job_runner.MAX_ATTEMPTS):
            jobs.begin(job.id)
        ended = run(jobs, runner(jobs), job)
        assert ended.state == "FAILED"
        assert "12 times without progress" in str(ended.message)


def test_a_cancelled_job_stops(
    tmp_path: Path, runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_runner, "COMMIT_SECONDS", 0.0)
    with store(tmp_path) as jobs:
        job = started(jobs)
        jobs.place(job.id).mkdir()
        one = runner(jobs)
        jobs.cancel(job.id)
        one.run(job)
        ended = jobs.find(job.id)
        assert "onlooker jobs cancel" in str(ended.message)
        assert list(jobs.place(job.id).iterdir()) == []


def test_what_a_killed_process_left_is_deleted(tmp_path: Path, runner: Runner) -> None:
    with store(tmp_path) as jobs:
        job = started(jobs)
        left = jobs.place(job.id) / ".onlooker-object-x"
        left.mkdir(parents=True)
        (left / "object.mp4").write_bytes(b"half")
        run(jobs, runner(jobs), job)
        assert {path.name for path in jobs.place(job.id).iterdir()} == {RESULTS}


def test_a_full_disk_leaves_the_job_open(
    tmp_path: Path, runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    with store(tmp_path) as jobs:
        job = started(jobs)
        jobs.place(job.id).mkdir()
        (jobs.place(job.id) / RESULTS).mkdir()  # it cannot be opened
        with pytest.raises(JobError, match="check the disk"):
            runner(jobs).run(job)
        assert jobs.is_open(job.id)


def test_an_idle_process_has_no_models(tmp_path: Path, folder: Path) -> None:
    own = Runner(folder, threads=1)
    with store(tmp_path) as jobs:
        one = own(jobs)
        run(jobs, one, started(jobs))
        loaded = memory()
        one.release()
        assert memory() < loaded - 50e6
        assert run(jobs, one, started(jobs)).state == "SUCCEEDED"


def memory() -> int:
    """Return the bytes that this process has in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
