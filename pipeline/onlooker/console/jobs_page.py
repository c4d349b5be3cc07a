"""Jobs over stored videos: how far each is, how it ended, and how its results are fetched."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from onlooker.console import console_context
from onlooker.console.boto3_call import boto3_call
from onlooker.console.console_context import ConsoleContext
from onlooker.console.sessions import Session
from onlooker.jobs import job_store
from onlooker.jobs.errors import JobNotFound
from onlooker.jobs.job import Job
from onlooker.jobs.job_store import JobStore

PAGE_ROWS = 50
MAX_JOBS = 100_000
"""Jobs of which the newest are listed."""

STATES: Mapping[str, str | None] = {
    "all": None,
    "open": "IN_PROGRESS",
    "succeeded": "SUCCEEDED",
    "failed": "FAILED",
}


def show(request: Request) -> Response:
    """Show the page."""
    context, session = _allowed(request)
    return context.render(request, "jobs.html", shows=STATES, **_rows(request, context, session))


def rows(request: Request) -> Response:
    """Show a part of the list, from the job with the number `after` on."""
    context, session = _allowed(request)
    return context.render(request, "jobs_rows.html", **_rows(request, context, session))


def summary(request: Request) -> Response:
    """Show the numbers of jobs by state, and whether there is a newer one than `newest`."""
    context, session = _allowed(request)
    values = _summary(_jobs(context, session))
    newer = values["newest"] != request.query_params.get("newest", "")
    return context.render(request, "jobs_summary.html", **values, newer=newer)


def state(request: Request) -> Response:
    """Show the state of a job again: it may have advanced."""
    context, session = _allowed(request)
    job = _find(context, session, request.path_params["job"])
    return context.render(request, "jobs_state.html", job=job)


def details(request: Request) -> Response:
    """Show more about a job, and the call that fetches its results."""
    context, session = _allowed(request)
    job = _find(context, session, request.path_params["job"])
    code = boto3_call(context.config.serve, f"Get{job.request.kind}", {"JobId": job.id})
    return context.render(request, "jobs_details.html", job=job, code=code)


async def cancel(request: Request) -> Response:
    """End a job as failed."""
    context, session = _allowed(request)
    return await run_in_threadpool(_cancel, request, context, session)


def _cancel(request: Request, context: ConsoleContext, session: Session) -> Response:
    job = _find(context, session, request.path_params["job"])
    console_context.allowed(request, f"rekognition:Start{job.request.kind}")
    with JobStore(context.config.jobs, context.config.topics) as store:
        store.cancel(job.id)
    return state(request)


def _allowed(request: Request) -> tuple[ConsoleContext, Session]:
    return console_context.of(request), console_context.allowed(request, "console:View")


def _may(session: Session) -> dict[str, Any]:
    return {"may_cancel": lambda job: session.allows(f"rekognition:Start{job.request.kind}")}


def _sees(session: Session, job: Job) -> bool:
    """Return whether a user may see a job: the key reaches its bucket and its collection."""
    key, request = session.key, job.request
    return key is None or (
        key.reaches("bucket", request.bucket)
        and (request.collection is None or key.reaches("collection", request.collection))
    )


def _jobs(context: ConsoleContext, session: Session) -> list[Job]:
    """Return the jobs that a user may see, the newest first."""
    if not job_store.exists(context.config.jobs):
        return []
    with JobStore(context.config.jobs) as store:
        return [job for job in store.jobs(MAX_JOBS) if _sees(session, job)]


def _find(context: ConsoleContext, session: Session, id: str) -> Job:
    """Return a job. Raises HTTPException."""
    if job_store.exists(context.config.jobs):
        with JobStore(context.config.jobs) as store:
            try:
                job = store.find(id)
            except JobNotFound as error:
                raise HTTPException(404, str(error)) from error
            if _sees(session, job):
                return job
    raise HTTPException(404, "There is no such job.")


def _rows(request: Request, context: ConsoleContext, session: Session) -> dict[str, Any]:
    asked = next((each for each in STATES if each == request.query_params.get("show")), "all")
    after = request.query_params.get("after", "0")
    if not (after.isascii() and after.isdigit() and len(after) < 10):
        raise HTTPException(400, f"{after[:80]!r} is no place in the list.")
    jobs = _jobs(context, session)
    found = [job for job in jobs if STATES[asked] in (None, job.state)]
    start = int(after)
    end = start + PAGE_ROWS
    return {
        "jobs": found[start:end],
        "show": asked,
        "last": end if end < len(found) else None,
        "newer": False,
        **_summary(jobs),
        **_may(session),
    }


def _summary(jobs: Sequence[Job]) -> dict[str, Any]:
    counts = Counter(job.state for job in jobs)
    return {"counts": counts, "newest": jobs[0].id if jobs else "", "number": len(jobs)}


ROUTES = (
    Route("/jobs", show),
    Route("/jobs/rows", rows),
    Route("/jobs/summary", summary),
    Route("/jobs/{job}", details),
    Route("/jobs/{job}/state", state),
    Route("/jobs/{job}/cancel", cancel, methods=["POST"]),
)
