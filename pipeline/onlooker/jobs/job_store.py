"""The jobs: started once for each token, worked on by one process each, ended once.

A job that has ended is announced by the same transaction: into a queue, or into the outbox, from
which `onlooker.jobs.outbox` sends it.
"""

import hashlib
import hmac
import secrets
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import msgspec

from onlooker.config.jobs import Jobs, queue_of
from onlooker.durable_file import FileLock
from onlooker.idempotency import RequestMismatch
from onlooker.jobs.errors import JobNotFound, TooManyJobs
from onlooker.jobs.job import Job, Request, VideoMetadata
from onlooker.jobs.job_database import NAME, JobDatabase, jobs_folder
from onlooker.jobs.notices import envelope, message_id, notice

DAY_SECONDS = 24 * 3600.0
LOCK = "lock"
"""File in a job's folder, locked by the process that works on it."""
COLUMNS = "id, request, state, message, metadata, progress, frames, results, created, begun, ended"

_requests = msgspec.msgpack.Decoder(Request)
_metadata = msgspec.json.Decoder(VideoMetadata)


class JobStore:
    """The jobs in the folder that `settings` name. All methods raise JobError.

    topics: targets of notices by the topics' ARNs.
    """

    def __init__(self, settings: Jobs, topics: Mapping[str, str] | None = None) -> None:
        self.settings = settings
        self.topics = topics or {}
        self.database = JobDatabase(jobs_folder(settings.folder))
        self.folder = self.database.folder

    def close(self) -> None:
        self.database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Clients

    def start(self, request: Request, token: str | None) -> str:
        """Add a job and return its id; the id of the earlier one if its token is known already.

        Raises RequestMismatch if that was for other parameters, and TooManyJobs.
        """
        data = msgspec.msgpack.encode(request)
        with self.database.changing() as database:
            if (known := self.known(request, token)) is not None:
                return known
            id = self._id(request, token)
            [open_jobs] = database.execute(
                "SELECT count(*) FROM jobs WHERE state = 'IN_PROGRESS'"
            ).fetchone()
            if open_jobs >= self.settings.max_open:
                raise TooManyJobs(open_jobs)
            database.execute(
                "INSERT INTO jobs (id, request, state, created) VALUES (?, ?, 'IN_PROGRESS', ?)",
                (id, data, time.time()),
            )
        return id

    def known(self, request: Request, token: str | None) -> str | None:
        """Return the id of the job that was started with a token; None if there is none.

        Raises RequestMismatch if it was started with other parameters.
        """
        if token is None:
            return None
        id = self._id(request, token)
        found = self.database.rows("SELECT request FROM jobs WHERE id = ?", id)
        if not found:
            return None
        if found[0][0] != msgspec.msgpack.encode(request):
            raise RequestMismatch(
                f"The ClientRequestToken: {token} you have supplied is already in use."
            )
        return id

    def _id(self, request: Request, token: str | None) -> str:
        """Return the JobId: of a token always the same one, which nobody can guess."""
        if token is None:
            return secrets.token_hex(32)
        name = msgspec.msgpack.encode((request.kind, token))
        return hmac.digest(self.database.secret, name, hashlib.sha256).hex()

    def find(self, id: str) -> Job:
        """Return a job. Raises JobNotFound."""
        found = self.database.rows(f"SELECT {COLUMNS} FROM jobs WHERE id = ?", id)
        if not found or self._is_over(job := _job(found[0])):
            raise JobNotFound(
                f"Could not find JobId {id}; jobs are kept for {self.settings.keep_days:g} days "
                "after their end"
            )
        return job

    def _is_over(self, job: Job) -> bool:
        keep = self.settings.keep_days * DAY_SECONDS
        return job.ended is not None and job.ended + keep <= time.time()

    def jobs(self, limit: int = 1000) -> Sequence[Job]:
        """Return the jobs, the newest first."""
        found = self.database.rows(
            f"SELECT {COLUMNS} FROM jobs ORDER BY number DESC LIMIT ?", limit
        )
        return [job for job in map(_job, found) if not self._is_over(job)]

    def counts(self) -> Mapping[tuple[str, str], int]:
        """Return the number of jobs by kind and state."""
        counts: dict[tuple[str, str], int] = {}
        for job in self.jobs(100_000):
            kind = (job.request.kind, job.state)
            counts[kind] = counts.get(kind, 0) + 1
        return counts

    def cancel(self, id: str) -> bool:
        """End a job as failed; return whether it was still open. Raises JobNotFound."""
        job = self.find(id)
        return self.finish(job, "FAILED", "The job was cancelled by `onlooker jobs cancel`.")

    # Workers

    def take(self) -> tuple[Job, FileLock] | None:
        """Return the oldest open job that nobody works on, with its lock; None if there is none.

        It has a folder of its own, `place`, until `finish`.
        """
        for row in self.database.rows(
            f"SELECT {COLUMNS} FROM jobs WHERE state = 'IN_PROGRESS' ORDER BY number"
        ):
            job = _job(row)
            self.place(job.id).mkdir(exist_ok=True)
            try:
                lock = FileLock(self.place(job.id) / LOCK, wait=False)
            except (BlockingIOError, FileNotFoundError):  # or it has expired this moment
                continue
            if self.is_open(job.id):
                return job, lock
            lock.close(remove=True)
        return None

    def place(self, id: str) -> Path:
        """Return the folder of a job."""
        return self.folder / id

    def is_open(self, id: str) -> bool:
        """Return whether a job is still to be worked on."""
        found = self.database.rows("SELECT state FROM jobs WHERE id = ?", id)
        return bool(found) and found[0][0] == "IN_PROGRESS"

    def begin(self, id: str) -> int:
        """Note that a job is begun; return how often it was without any progress since."""
        with self.database.changing() as database:
            database.execute(
                "UPDATE jobs SET begun = ifnull(begun, ?), attempts = attempts + 1 WHERE id = ?",
                (time.time(), id),
            )
            [attempts] = database.execute(
                "SELECT attempts FROM jobs WHERE id = ?", (id,)
            ).fetchone()
        return int(attempts)

    def advance(self, id: str, progress: float, frames: int) -> bool:
        """Note a job's progress; return whether it is still open."""
        with self.database.changing() as database:
            changed = database.execute(
                "UPDATE jobs SET progress = ?, frames = ?, attempts = 0"
                " WHERE id = ? AND state = 'IN_PROGRESS'",
                (progress, frames, id),
            )
            return changed.rowcount == 1

    def finish(
        self,
        job: Job,
        state: str,
        message: str | None = None,
        metadata: VideoMetadata | None = None,
        results: int = 0,
    ) -> bool:
        """End a job and announce it, unless it has ended already; return whether it had not."""
        now = time.time()
        with self.database.changing() as database:
            changed = database.execute(
                "UPDATE jobs SET state = ?, message = ?, metadata = ?, results = ?, ended = ?,"
                " progress = CASE ? WHEN 'SUCCEEDED' THEN 1 ELSE progress END"
                " WHERE id = ? AND state = 'IN_PROGRESS'",
                (
                    state,
                    message,
                    None if metadata is None else msgspec.json.encode(metadata),
                    results,
                    now,
                    state,
                    job.id,
                ),
            )
            if changed.rowcount == 0:
                return False
            topic = job.request.topic
            if topic is not None and topic in self.topics:
                id, body = message_id(job.id), notice(job, state, now)
                queue = queue_of(topic, self.topics)
                if queue is None:
                    database.execute(
                        "INSERT INTO notices (id, topic, body, made, due) VALUES (?, ?, ?, ?, ?)",
                        (id, topic, body, now, now),
                    )
                else:
                    database.execute(
                        "INSERT INTO messages (queue, id, body, sent, visible)"
                        " VALUES (?, ?, ?, ?, ?)",
                        (queue, id, envelope(id, topic, body, now, self.database.secret), now, now),
                    )
        return True

    def expire(self) -> None:
        """Delete jobs whose time is over, with their results, and what killed processes left."""
        limit = time.time() - self.settings.keep_days * DAY_SECONDS
        with self.database.changing() as database:
            database.execute("DELETE FROM jobs WHERE ended <= ?", (limit,))
            database.execute("DELETE FROM notices WHERE made <= ?", (limit,))
        # In this order: a folder is made only when its job is known.
        folders = [folder for folder in self.folder.iterdir() if folder.is_dir()]
        kept = {str(id) for (id,) in self.database.rows("SELECT id FROM jobs")}
        for folder in folders:
            if folder.name not in kept:
                shutil.rmtree(folder, ignore_errors=True)


def exists(settings: Jobs) -> bool:
    """Return whether there has ever been a job."""
    return (jobs_folder(settings.folder) / NAME).exists()


def _job(row: Sequence[Any]) -> Job:
    id, request, state, message, metadata, progress, frames, results, created, begun, ended = row
    return Job(
        id=id,
        request=_requests.decode(request),
        state=state,
        message=message,
        metadata=None if metadata is None else _metadata.decode(metadata),
        progress=progress,
        frames=frames,
        results=results,
        created=created,
        begun=begun,
        ended=ended,
    )
