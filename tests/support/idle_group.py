"""A group beside the streams of a run that does nothing."""

import time

from onlooker.child_process import ProcessStatus


class Idle:
    """A group beside the streams, as the API is, so that the run lasts without any stream."""

    finished = False

    def wait(self, seconds: float) -> None:
        time.sleep(seconds)

    def watch(self) -> None:
        pass

    def stop(self) -> None:
        pass

    def processes(self) -> list[ProcessStatus]:
        return []
