"""Streams that run beside the API, and do not end it if they fail."""

import logging
import time
from collections.abc import Callable

from msgspec.structs import replace

from onlooker.child_process import ProcessStatus
from onlooker.stream.errors import RunError
from onlooker.stream.messages import Status
from onlooker.stream.supervisor import Run

logger = logging.getLogger(__name__)


class Apart:
    """The streams as a group whose failure does not end the groups beside it.

    They are not started again: a worker has reported that it cannot work, or has died too often.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self.error: RunError | None = None
        """The failure."""

    @property
    def finished(self) -> bool:
        return self.error is not None or self._run.finished

    @property
    def status(self) -> Status:
        """The newest status; after a failure no stream is healthy."""
        status, error = self._run.status, self.error
        if error is None:
            return status
        failed = tuple(replace(stream, health=str(error)) for stream in status.streams)
        return replace(status, streams=failed)

    def wait(self, seconds: float) -> None:
        """Wait for news of the streams, or for that time if they have failed."""
        if self.error is not None:
            time.sleep(seconds)
        else:
            self._unless_failed(lambda: self._run.wait(seconds))

    def watch(self) -> None:
        """See to the processes of the streams, unless they have failed."""
        if self.error is None:
            self._unless_failed(self._run.watch)

    def _unless_failed(self, act: Callable[[], None]) -> None:
        try:
            act()
        except RunError as error:
            logger.error("streams failed, the API continues error=%s", error)
            self.error = error
            self._run.close()

    def stop(self) -> None:
        """Have the sources stop."""
        self._run.stop()

    def processes(self) -> list[ProcessStatus]:
        """Return the processes; after a failure also its cause."""
        processes = self._run.processes()
        if self.error is not None:
            processes.append(ProcessStatus("streams", 0, f"failed: {self.error}", 0))
        return processes
