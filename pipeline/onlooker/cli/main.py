"""The program `onlooker`: what it does about signals, and how it ends.

The commands take half a second to load, and Ctrl-C may come at any instant. So this module imports
nothing that is slow before it has the signals in hand.
"""

import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

CLEANUP_SECONDS = 6.0
"""Time that a command has to clean up after a signal; after that another one ends it at once."""


def main() -> None:
    """Run the command line. An expected error is one line on stderr, and status 1.

    SIGINT, SIGTERM and SIGHUP end it with status 128 + number, once files are closed and processes
    are stopped.
    """
    _handle(_end_now)
    from onlooker.cli import standard_streams

    standard_streams.prepare()
    from onlooker.cli import ending
    from onlooker.cli.commands import app

    interruption = ending.Interruption(CLEANUP_SECONDS)
    _handle(interruption)
    try:
        status = ending.run(app, interruption)
    finally:
        # What is left is Python's own end, and Ctrl-C is too late.
        _handle(_end_now)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    if interruption.number is not None:
        os._exit(status)  # neither threads nor models are waited for
    sys.exit(status)


def _handle(handler: Callable[[int, FrameType | None], None]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # as by nohup
            signal.signal(number, handler)


def _end_now(number: int, _: object) -> None:
    """End the process, which has nothing to clean up."""
    with suppress(OSError):
        os.write(2, f"stopped: {signal.Signals(number).name}\n".encode())
    os._exit(128 + number)
