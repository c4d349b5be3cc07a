"""The end of a command: by its result, an error, or a signal.

A signal is one line on stderr, which says what has been done and how to go on if there is more to
know than its name. An output whose reader has gone is no line at all.
"""

import errno
import os
import re
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import CodeType, FrameType

from rich.text import Text

from onlooker.cli import standard_streams
from onlooker.cli.standard_streams import PIPE_STATUS, OutputError
from onlooker.cli.terminal import complaints
from onlooker.errors import OnlookerError, printable
from onlooker.stream.errors import Stopped

AGAIN_SECONDS = 0.01
"""Time until a signal that was lost comes again, as often as the place that lost it still runs."""
AGAIN = "signal"
"""Name of the thread that waits for it."""
MAX_OPEN_FILES = 4096
MIN_OPEN_FILES = 100
"""A run has sockets, pipes, databases and models open; ZeroMQ aborts if it cannot open its own."""

RESOURCES = {
    errno.ENOSPC: "make room",
    errno.EDQUOT: "make room",
    errno.ENOMEM: "make memory free",
    errno.EMFILE: "allow more with `ulimit -n 4096`",
    errno.ENFILE: "stop programs that have many files open",
    errno.EROFS: "name another folder",
    errno.EIO: "check the disk",
}
"""Errors of the system that are no defect of the program, wherever they come, and what to do."""


class Interrupted(SystemExit):
    """A signal has come: raised in the main thread, wherever it is.

    It is a SystemExit because NumPy and others print the trace of any other exception that comes
    while they are being loaded.
    """

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.number = number


class Interruption:
    """The handler of signals while a command runs: the first one raises Interrupted.

    Others are ignored while the command cleans up, but not for longer than `seconds`.
    """

    def __init__(self, seconds: float) -> None:
        self.number: int | None = None
        """The first signal; None before it."""
        self._seconds = seconds
        self._since = 0.0
        sys.unraisablehook = self._again

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self.number is None:
            if _is_in(frame, Interruption._again.__code__):
                return  # where it would be lost once more; it comes again
            self.number, self._since = number, time.monotonic()
            raise Interrupted(number)
        if time.monotonic() - self._since > self._seconds:
            os._exit(128 + number)

    def _again(self, unraisable: "sys.UnraisableHookArgs") -> None:
        """Raise it again if it came where exceptions are ignored, as in a destructor."""
        if isinstance(unraisable.exc_value, Interrupted):
            self.number = None
            number = unraisable.exc_value.number
            threading.Thread(target=self._repeat, args=(number,), name=AGAIN, daemon=True).start()
        else:
            sys.__unraisablehook__(unraisable)

    def _repeat(self, number: int) -> None:
        """Send a signal to the main thread until it is raised there."""
        main = threading.main_thread().ident
        assert main is not None
        time.sleep(AGAIN_SECONDS)
        while self.number is None:
            signal.pthread_kill(main, number)
            time.sleep(AGAIN_SECONDS)


def _is_in(frame: FrameType | None, code: CodeType) -> bool:
    """Return whether a frame is one of `code`, or of something that it has called."""
    while frame is not None:
        if frame.f_code is code:
            return True
        frame = frame.f_back
    return False


@contextmanager
def if_stopped(say: Callable[[], str]) -> Iterator[None]:
    """Have a signal that ends the block say what has been done; of several blocks the inner one.

    say: returns a part of a sentence, such as "12 images are indexed". If it raises OnlookerError
    or OSError, as for a log that cannot be read, the signal alone is reported.
    """
    try:
        yield
    except BaseException as error:
        if _is_stop(error) and not getattr(error, "__notes__", None):
            with suppress(OnlookerError, OSError):
                error.add_note(say())
        raise


def _is_stop(error: BaseException | None) -> bool:
    """Return whether a signal is the cause of an error, which a library may have made of it."""
    while error is not None and not isinstance(error, Interrupted | Stopped):
        error = error.__cause__ or error.__context__
    return error is not None


def run(app: Callable[[], object], interruption: Interruption) -> int:
    """Run the command line and return its exit status, with a line on stderr if it failed."""
    try:
        _check_surroundings()
        status = _run(app)
        sys.stdout.flush()
    except BaseException as error:
        # Interrupted may have become an ImportError on its way, as while ONNX Runtime is loaded.
        if interruption.number is not None:
            return _stopped(interruption.number, error)
        return _failed(error)
    return status


def _failed(error: BaseException) -> int:
    """Report an error that is no defect, and return the exit status; raise others again."""
    number = getattr(error, "errno", None)
    match error:
        case Stopped():
            return _stopped(error.signal, error)
        case OutputError():
            standard_streams.discard_output()
            return PIPE_STATUS if error.reader_gone else _fail(str(error))
        case OnlookerError():
            return _fail(str(error))
        case UnicodeEncodeError() if printable(error.object) != error.object:
            return _fail(f"{printable(error.object)}: the name is not UTF-8; rename it")
        case MemoryError():
            return _fail("there is not enough memory; make some free")
        case Exception() if number in RESOURCES:
            place = getattr(error, "filename", None)
            named = f"{printable(os.fsdecode(place))}: " if isinstance(place, str | bytes) else ""
            return _fail(f"{named}{os.strerror(number)}; {RESOURCES[number]}")
    raise error


def _stopped(number: int, error: BaseException) -> int:
    """Report a signal, and return the exit status."""
    done = getattr(error, "__notes__", [])[:1]
    complaints.print("; ".join([f"stopped: {signal.Signals(number).name}", *done]))
    return 128 + number


def _run(app: Callable[[], object]) -> int:
    try:
        app()
    except Interrupted:
        raise
    except SystemExit as end:  # typer's
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def _fail(text: str) -> int:
    """Print an error, a line even if a name in it has line breaks or a terminal's commands."""
    line = re.sub(r"[\x00-\x1f\x7f-\x9f]", lambda found: repr(found[0])[1:-1], text)
    complaints.print(Text.assemble(("error:", "red"), f" {line}"))
    return 1


def _check_surroundings() -> None:
    """Raise OnlookerError if no command can work here."""
    try:
        os.getcwd()
    except OSError as error:
        raise OnlookerError(
            f"the current folder: {error.strerror}; `cd` to one that exists"
        ) from error
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    if most < MIN_OPEN_FILES:
        raise OnlookerError(
            f"only {most} files may be open, and {MIN_OPEN_FILES} are needed; allow more with "
            f"`ulimit -n {MAX_OPEN_FILES}`"
        )
