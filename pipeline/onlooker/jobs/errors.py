"""Errors of jobs and of the queues of their notices."""

from onlooker.errors import OnlookerError


class JobError(OnlookerError):
    """Jobs cannot be kept or read; the text says why."""


class JobNotFound(OnlookerError):
    """No job has this id, or its results are no longer kept."""


class TooManyJobs(OnlookerError):
    """As many jobs are open as may be."""


class JobFailed(OnlookerError):
    """A job ends without results; the text becomes its StatusMessage."""
