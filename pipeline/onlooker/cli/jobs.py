"""`onlooker jobs`: jobs over stored videos, which clients start over HTTP."""

import time
from typing import Annotated

import msgspec
import typer
from rich.table import Table

from onlooker.cli.log import clock
from onlooker.cli.terminal import plain
from onlooker.config.load import load
from onlooker.config.section import ConfigError
from onlooker.jobs.job import Job
from onlooker.jobs.job_store import JobStore, exists

app = typer.Typer(no_args_is_help=True, help="List, show and cancel jobs over stored videos.")

JobId = Annotated[str, typer.Argument(help="Id of the job, or its beginning.", metavar="JOB")]
SHOWN_DIGITS = 12
"""Of a job's id in the list; its beginning is enough for the other commands."""


def _store() -> JobStore:
    config = load()
    if not exists(config.jobs):
        raise ConfigError(
            "there are no jobs: write a section [jobs] into the configuration, run `onlooker run`, "
            "and start jobs with an AWS SDK"
        )
    return JobStore(config.jobs, config.topics)


def _found(store: JobStore, beginning: str) -> Job:
    """Return the job whose id begins so. Raises ConfigError unless there is one."""
    found = [job for job in store.jobs() if job.id.startswith(beginning)]
    if len(found) != 1:
        many = f"{len(found)} jobs begin" if found else "no job begins"
        raise ConfigError(f"{many} with {beginning!r}; `onlooker jobs list` shows them")
    return found[0]


@app.command("list")
def list_jobs(
    limit: Annotated[int, typer.Option(min=1, help="Maximum number of jobs.")] = 100,
) -> None:
    """Print the jobs that are kept, the newest first.

    Example: `onlooker jobs list`
    """
    table = Table()
    for heading in ("job", "kind", "video", "state", "done", "started"):
        table.add_column(heading)
    with _store() as store:
        for job in store.jobs(limit):
            asked = job.request
            table.add_row(
                job.id[:SHOWN_DIGITS],
                asked.kind,
                f"{asked.bucket}/{asked.name}",
                job.state,
                f"{job.progress:.0%}",
                clock(job.created),
            )
    plain.print(table)


@app.command()
def show(job: JobId) -> None:
    """Print all about a job as one line of JSON.

    Example: `onlooker jobs show 5b1c0a1e`
    """
    with _store() as store:
        found = _found(store, job)
        fields = msgspec.to_builtins(found)
        end = found.ended or time.time()
        fields["seconds"] = None if found.begun is None else round(end - found.begun, 3)
    typer.echo(msgspec.json.encode(fields).decode())


@app.command()
def cancel(job: JobId) -> None:
    """End an open job; clients see it as FAILED, with the reason.

    Example: `onlooker jobs cancel 5b1c0a1e`
    """
    with _store() as store:
        found = _found(store, job)
        if store.cancel(found.id):
            plain.print(f"{found.id} is cancelled")
        else:
            plain.print(f"{found.id} has ended already: {found.state}")
