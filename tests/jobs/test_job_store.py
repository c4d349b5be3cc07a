"""Jobs: started once for each token, taken by one process, ended and announced once."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from tests.support.stored_videos import TOPIC, request, started, store

from onlooker.idempotency import RequestMismatch
from onlooker.jobs.errors import JobError, JobNotFound, TooManyJobs
from onlooker.jobs.job import VideoMetadata
from onlooker.jobs.job_store import DAY_SECONDS, JobStore, exists

METADATA = VideoMetadata(
    Codec="h264",
    DurationMillis=1,
    Format="QuickTime / MOV",
    FrameRate=30.0,
    FrameHeight=2,
    FrameWidth=4,
    ColorRange="LIMITED",
)


def test_a_token_starts_one_job(tmp_path: Path) -> None:
    with store(tmp_path) as jobs, store(tmp_path) as other:
        first = jobs.start(request(tag="a"), "token")
        assert other.start(request(tag="a"), "token") == first
        with pytest.raises(RequestMismatch, match="ClientRequestToken: token"):
            other.start(request(tag="b"), "token")
        # Tokens are known by operation.
        assert jobs.start(request("TextDetection", tag="a"), "token") != first
        assert jobs.start(request(tag="a"), None) != jobs.start(request(tag="a"), None)
        assert len(first) == 64
        assert len(jobs.jobs()) == 4
    with store(tmp_path / "elsewhere") as jobs:
        assert jobs.start(request(tag="a"), "token") != first, "it can be guessed"


def test_threads_that_start_one_token_start_one_job(tmp_path: Path) -> None:
    found: list[str] = []
    with store(tmp_path) as jobs:
        threads = [
            threading.Thread(target=lambda: found.append(jobs.start(request(), "t")))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found) == 8
        assert len(set(found)) == len(jobs.jobs()) == 1


def test_no_more_jobs_than_may_be_open(tmp_path: Path) -> None:
    with store(tmp_path, max_open=2) as jobs:
        first = started(jobs)
        known = jobs.start(request(tag="x"), "token")
        with pytest.raises(TooManyJobs, match="2 jobs are open"):
            jobs.start(request(), None)
        assert jobs.start(request(tag="x"), "token") == known
        jobs.finish(first, "FAILED", "why")
        jobs.start(request(), None)


def test_a_job_ends_once_and_is_announced_once(tmp_path: Path) -> None:
    with store(tmp_path) as jobs:
        job = started(jobs, topic=TOPIC, tag="t")
        assert jobs.finish(job, "SUCCEEDED", None, METADATA, 7)
        assert not jobs.finish(job, "FAILED", "late")
        assert not jobs.cancel(job.id)
        ended = jobs.find(job.id)
        assert (ended.state, ended.results, ended.progress) == ("SUCCEEDED", 7, 1.0)
        assert ended.metadata == METADATA
        [(queue, body)] = jobs.database.rows("SELECT queue, body FROM messages")
        assert queue == "AmazonRekognitionDone"
        assert json.loads(json.loads(str(body))["Message"])["JobTag"] == "t"
        silent = started(jobs)
        jobs.finish(silent, "SUCCEEDED")
        assert jobs.database.rows("SELECT count(*) FROM messages") == [(1,)]


def test_a_job_is_taken_by_one_and_by_the_next_after_a_kill(tmp_path: Path) -> None:
    take = (
        "import sys, time\nfrom pathlib import Path\n"
        "from tests.support.stored_videos import store\n"
        "jobs = store(Path(sys.argv[1])); taken = jobs.take()\n"
        "print(taken[0].id, flush=True); time.sleep(600)"
    )
    with store(tmp_path) as jobs:
        job, other = started(jobs), started(jobs)
        with subprocess.Popen(
            [sys.executable, "-c", take, str(tmp_path)], stdout=subprocess.PIPE
        ) as child:
            assert child.stdout is not None
            assert child.stdout.readline().decode().strip() == job.id
            taken = jobs.take()
            assert taken is not None
            assert taken[0].id == other.id
            assert jobs.take() is None
            os.kill(child.pid, signal.SIGKILL)
        again = jobs.take()
        assert again is not None
        assert again[0].id == job.id
        jobs.finish(job, "FAILED")
        jobs.finish(other, "FAILED")
        again[1].close(remove=True)
        taken[1].close(remove=True)
        assert jobs.take() is None


def test_progress_is_noted_until_the_end(tmp_path: Path) -> None:
    with store(tmp_path) as jobs:
        job = started(jobs)
        assert [jobs.begin(job.id), jobs.begin(job.id)] == [1, 2]
        assert jobs.advance(job.id, 0.5, 12)
        assert (jobs.find(job.id).progress, jobs.find(job.id).frames) == (0.5, 12)
        assert jobs.begin(job.id) == 1
        assert jobs.cancel(job.id)
        assert not jobs.advance(job.id, 0.6, 13)
        found = jobs.find(job.id)
        assert found.state == "FAILED"
        assert "cancelled" in str(found.message)
        assert jobs.counts() == {("FaceDetection", "FAILED"): 1}


def test_nothing_is_left_after_the_time_of_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with store(tmp_path, keep_days=1) as jobs:
        job, running = started(jobs, topic=TOPIC), started(jobs)
        for each in (job, running):
            jobs.place(each.id).mkdir()
            (jobs.place(each.id) / "results.db").write_bytes(b"x")
        jobs.finish(job, "SUCCEEDED")
        (jobs.folder / "of a killed process").mkdir()
        jobs.expire()
        assert jobs.place(job.id).is_dir()
        assert not (jobs.folder / "of a killed process").exists()
        now = time.time()
        monkeypatch.setattr(time, "time", lambda: now + DAY_SECONDS + 1)
        with pytest.raises(JobNotFound, match="kept for 1 days"):
            jobs.find(job.id)
        assert [each.id for each in jobs.jobs()] == [running.id]
        jobs.expire()
        assert {path.name for path in jobs.folder.iterdir() if path.is_dir()} == {running.id}
        assert jobs.database.rows("SELECT id FROM jobs") == [(running.id,)]


def test_a_file_of_others_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "jobs").mkdir()
    path = tmp_path / "jobs" / "jobs.db"
    import sqlite3

    other = sqlite3.connect(path)
    other.execute("CREATE TABLE theirs (a)")
    other.commit()
    other.close()
    with pytest.raises(JobError, match="not a database of jobs"):
        store(tmp_path)
    path.write_text("not SQLite's " * 100)
    with pytest.raises(JobError, match="not a database"):
        store(tmp_path)
    path.unlink()
    (tmp_path / "file").write_text("")
    with pytest.raises(JobError, match="cannot be made"):
        store(tmp_path / "file")


def test_looking_makes_no_database(tmp_path: Path) -> None:
    from onlooker.config.jobs import Jobs

    settings = Jobs(folder=str(tmp_path / "jobs"))
    assert not exists(settings)
    assert not (tmp_path / "jobs").exists()
    JobStore(settings).close()
    assert exists(settings)
