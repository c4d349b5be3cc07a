"""Metrics of jobs as Prometheus reads them."""

from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from tests.support.stored_videos import TOPIC, request, started, store

from onlooker.config.jobs import Jobs
from onlooker.jobs.job_store import JobStore
from onlooker.jobs.metrics import JobMetrics


def text(jobs: JobStore) -> list[str]:
    registry = CollectorRegistry()
    registry.register(JobMetrics(jobs))
    return generate_latest(registry).decode().splitlines()


def test_jobs_progress_and_notices(tmp_path: Path) -> None:
    with store(tmp_path) as jobs:
        job = started(jobs, "TextDetection")
        jobs.advance(job.id, 0.25, 3)
        jobs.finish(started(jobs), "FAILED", "why")
        lines = text(jobs)
        assert 'onlooker_jobs{kind="TextDetection",state="IN_PROGRESS"} 1.0' in lines
        assert 'onlooker_jobs{kind="FaceDetection",state="FAILED"} 1.0' in lines
        assert 'onlooker_jobs{kind="FaceSearch",state="SUCCEEDED"} 0.0' in lines
        assert f'onlooker_job_progress{{job="{job.id}",kind="TextDetection"}} 0.25' in lines
        assert f'onlooker_job_frames{{job="{job.id}",kind="TextDetection"}} 3.0' in lines
        assert "onlooker_job_notices 0.0" in lines


def test_a_notice_that_waits_is_counted(tmp_path: Path) -> None:
    with JobStore(Jobs(folder=str(tmp_path)), {TOPIC: "https://example.com/"}) as jobs:
        job = jobs.find(jobs.start(request(topic=TOPIC), None))
        jobs.finish(job, "SUCCEEDED")
        assert "onlooker_job_notices 1.0" in text(jobs)
