"""A program that runs: the hub of its streams, to be asked, and its processes."""

from pathlib import Path
from typing import Self

import zmq
from msgspec.structs import replace

from onlooker.child_process import ProcessStatus
from onlooker.stream import messages, run_directory, sink_status
from onlooker.stream.messages import Status
from onlooker.stream.sink_status import SinkStatus

ANSWER_SECONDS = 2.0
"""Time that a run's hub may take to answer."""


class Program:
    """An Onlooker that runs in the directory `run`. Not for two threads at once."""

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]", run: Path) -> None:
        self.run = run
        self._socket = context.socket(zmq.DEALER)
        self._socket.linger = 0
        self._socket.connect(run_directory.endpoint(run))

    @property
    def title(self) -> str:
        """The process id, and where the records go."""
        try:
            parent = run_directory.read(self.run).parent
        except FileNotFoundError:  # it starts, or has ended
            return self.run.name
        logs = sorted({str(f.outputs.log_path) for f in run_directory.read_feeds(self.run)})
        return ", ".join([f"process {parent}", *(f"log {path}" for path in logs)])

    def ask(self) -> Status | None:
        """Return the status of the streams; None if there is no hub, or if it does not answer."""
        while self._socket.poll(0):
            self._socket.recv_multipart()  # late answers
        if not run_directory.read_feeds(self.run):
            return None  # without streams there is no hub
        self._socket.send_multipart(messages.pack(messages.StatusRequest()))
        if not self._socket.poll(round(ANSWER_SECONDS * 1000)):
            return None
        message, _ = messages.unpack_from_hub(self._socket.recv_multipart())
        if not isinstance(message, Status):
            return None
        known = {stream.name for stream in message.streams}
        finished = run_directory.read_finished(self.run)
        rest = (stream for stream in finished if stream.name not in known)
        return replace(message, streams=(*message.streams, *rest))

    def processes(self) -> tuple[ProcessStatus, ...]:
        """Return the processes that are supervised; none if the program has ended."""
        return run_directory.read_processes(self.run)

    def sinks(self) -> list[SinkStatus]:
        """Return how the sinks of its logs are."""
        try:
            names = run_directory.read(self.run).config.sinks
        except FileNotFoundError:  # it has ended
            return []
        logs = sorted({feed.outputs.log_path for feed in run_directory.read_feeds(self.run)})
        return [status for log in logs for status in sink_status.read(log, names)]

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
