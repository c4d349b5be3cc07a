"""The processes that work on jobs: killed at any time, they leave every job to the next one."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.stored_videos import BUCKET, NAME, TOPIC, make_video, request

from onlooker.config.jobs import Jobs
from onlooker.config.schema import Config
from onlooker.config.serving import Serve
from onlooker.jobs import job_processes
from onlooker.jobs.job_process import JobSettings
from onlooker.jobs.job_processes import JobProcesses
from onlooker.jobs.job_store import JobStore
from onlooker.piped_process import pack, unpack

WAIT_SECONDS = 150.0


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "buckets" / BUCKET).mkdir(parents=True)
    return Config(
        serve=Serve(buckets=str(tmp_path / "buckets")),
        jobs=Jobs(folder=str(tmp_path / "jobs"), threads=1),
        topics={TOPIC: "queue"},
    )


def until(processes: JobProcesses, condition: Callable[[], bool]) -> None:
    end = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < end
        processes.wait(0.02)
        processes.watch()


def pid(processes: JobProcesses) -> int:
    [status] = processes.processes()
    return status.id


def test_settings_travel() -> None:
    settings = JobSettings(Config(), Path("faces.db"), 3)
    assert unpack(pack(settings), JobSettings) == settings


def test_a_job_survives_its_process(config: Config, tmp_path: Path) -> None:
    make_video(tmp_path / "buckets" / BUCKET / NAME)
    with (
        JobStore(config.jobs, config.topics) as jobs,
        job_processes.running(config, tmp_path / "faces.db") as processes,
    ):
        id = jobs.start(request(topic=TOPIC), None)
        until(processes, lambda: jobs.find(id).begun is not None)
        first = pid(processes)
        os.kill(first, signal.SIGKILL)
        until(processes, lambda: pid(processes) not in (0, first))
        until(processes, lambda: not jobs.is_open(id))
        assert jobs.find(id).state == "SUCCEEDED"
        assert jobs.find(id).frames == 8
        assert jobs.database.rows("SELECT count(*) FROM messages") == [(1,)]
        assert [path.name for path in jobs.place(id).iterdir()] == ["results.db"]
        assert processes.processes()[0].restarts == 1


def test_a_silent_process_is_replaced(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with job_processes.running(config, tmp_path / "faces.db") as processes:
        until(processes, lambda: processes.processes()[0].state == "running")
        monkeypatch.setattr(job_processes, "MAX_SILENCE_SECONDS", 2.0)
        first = pid(processes)
        os.kill(first, signal.SIGSTOP)
        until(processes, lambda: pid(processes) not in (0, first))


def test_it_stops_with_its_parent_and_leaves_the_job(config: Config, tmp_path: Path) -> None:
    make_video(tmp_path / "buckets" / BUCKET / NAME, seconds=20)
    with JobStore(config.jobs, config.topics) as jobs:
        id = jobs.start(request("PersonTracking"), None)
        with job_processes.running(config, tmp_path / "faces.db") as processes:
            until(processes, lambda: jobs.find(id).frames > 0)
        assert jobs.is_open(id)
        taken = jobs.take()
        assert taken is not None, "its lock is free"
        taken[1].close()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"serve": Serve()}, "[jobs] needs buckets"),
        ({"serve": Serve(buckets="/no/such/folder")}, "is no folder"),
        ({"jobs": Jobs(folder="/dev/null/jobs")}, "cannot be made"),
        ({"jobs": Jobs(webhook_key="/no/such/key")}, "webhook_key"),
    ],
)
def test_what_cannot_work_is_said_before(
    config: Config, change: dict[str, object], says: str
) -> None:
    from msgspec.structs import replace

    from onlooker.errors import OnlookerError

    with pytest.raises(OnlookerError) as caught:
        job_processes.check(replace(config, **change))
    assert says in str(caught.value)


def test_cores_are_shared(config: Config) -> None:
    from msgspec.structs import replace

    cores = len(os.sched_getaffinity(0))
    shared = replace(config, jobs=Jobs(workers=cores + 1))
    assert job_processes.threads(shared) == 1
    assert job_processes.threads(replace(config, jobs=Jobs())) == cores
