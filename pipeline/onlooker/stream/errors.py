"""Errors of a run."""

import signal

from onlooker.errors import OnlookerError
from onlooker.stream.messages import Status


class RunError(OnlookerError):
    """The run could not be finished; the text says why."""


class Stopped(RunError):
    """A signal has stopped the run. The records until then are complete, and it can be resumed."""

    def __init__(self, number: int, status: Status) -> None:
        super().__init__(signal.Signals(number).name)
        self.signal = number
        self.status = status
