"""Errors of jobs and of the queues of their notices."""

from onlooker.errors import OnlookerError


class JobError(OnlookerError):
    """Jobs cannot be kept or read; the text says why."""


class JobNotFound(OnlookerError):
    """No job has this id, or its results are no longer kept."""


class TooManyJobs(OnlookerError):
    """As many jobs are open as may be."""

    def __init__(self, open_jobs: int) -> None:
        super().__init__(f"{open_jobs} jobs are open; start more when one has ended")
        self.open_jobs = open_jobs


class JobFailed(OnlookerError):
    """A job ends without results; the text becomes its StatusMessage."""
