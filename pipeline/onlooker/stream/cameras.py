"""Runs the streams of the configuration until told to stop, and follows its changes."""

import logging
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from msgspec.structs import replace

from onlooker.child_process import signals
from onlooker.config.schema import Config, ConfigError, SourceConfig
from onlooker.media.errors import MediaError
from onlooker.record.log.reader import LogError
from onlooker.stream.feeds import Feed, Outputs, feeds_of
from onlooker.stream.messages import Status
from onlooker.stream.ring import Ring
from onlooker.stream.stage import Stage
from onlooker.stream.stages import STAGES
from onlooker.stream.supervisor import PATROL, REPORT, Run, running

LOOK = 1.0
"""Seconds between looks at the configuration's file."""
AT_ONCE, LARGE = 8, (1920, 1080)
"""Streams, and the size of their pictures, for which room is asked for in memory."""

logger = logging.getLogger(__name__)


def serve(
    load: Callable[[], Config],
    outputs: Outputs,
    on_status: Callable[[Status], None],
    watched: Path | None = None,
    stages: Sequence[Stage] = STAGES,
) -> Status:
    """Run all streams of the configuration that `load` gives, until SIGTERM or SIGINT.

    On SIGHUP, and when the file `watched` changes, it is loaded anew: streams come, go and change
    without the others; what else has changed takes effect at the next start. Returns when all
    streams have ended, which cameras never do, or when told to stop. Raises RunError, and what
    `load` and `feeds_of` do for the first configuration.
    """
    config = load()
    room = AT_ONCE * config.pipeline.window * Ring.slot_bytes_for(*LARGE)
    feeds = feeds_of(config.streams, config, outputs)
    with signals() as received, running(config, outputs, stages, room, None) as run:
        streams = Streams(run, config, outputs, feeds)
        shown = looked = time.monotonic()
        changed = _changed(watched)
        while not run.finished:
            run.watch(PATROL)
            now = time.monotonic()
            if now - shown > REPORT:
                shown = now
                on_status(run.status)
            if set(received) - {signal.SIGHUP}:
                return run.status
            if received or now - looked > LOOK:
                asked, looked, before, changed = bool(received), now, changed, _changed(watched)
                received.clear()
                if asked or changed != before:
                    streams.reload(load)
        run.finish()
        on_status(run.status)
        return run.status


class Streams:
    """The streams of a run, as the configuration has them at the moment."""

    def __init__(self, run: Run, config: Config, outputs: Outputs, feeds: Sequence[Feed]) -> None:
        self._run = run
        self._config = config
        self._outputs = outputs
        self._sources = dict(config.streams)
        self._next = len(feeds) + 1
        for feed in feeds:
            run.add(feed)

    def reload(self, load: Callable[[], Config]) -> None:
        """Make the run what the configuration says; where that cannot be used, keep what is."""
        try:
            config = load()
        except ConfigError as error:
            logger.error("configuration not taken error=%s", error)
            return
        if replace(config, streams={}) != replace(self._config, streams={}):
            logger.warning("only streams change while running; the rest does at the next start")
        self.change(config.streams)

    def change(self, wanted: Mapping[str, SourceConfig]) -> None:
        """Stop streams that are not wanted, or wanted otherwise; start those that are new.

        One that cannot be started as it is wanted now goes on as it was.
        """
        for name in [name for name in self._sources if name not in wanted]:
            self._stop(name)
        for name, source in wanted.items():
            if self._sources.get(name) == source:
                continue
            try:
                [feed] = feeds_of({name: source}, self._config, self._outputs, self._next)
            except (MediaError, LogError) as error:
                logger.error("stream not started stream=%s error=%s", name, error)
                continue
            if name in self._sources:
                self._stop(name)
            logger.warning("stream starts stream=%s", name)
            self._next += 1
            self._sources[name] = source
            self._run.add(feed)

    def _stop(self, name: str) -> None:
        logger.warning("stream stops stream=%s", name)
        self._run.remove(name)
        del self._sources[name]


def _changed(path: Path | None) -> tuple[int, int] | None:
    """What is another when the file is; None where it cannot be seen, as while it is replaced."""
    try:
        status = path.stat() if path is not None else None
    except OSError:
        return None
    return (status.st_mtime_ns, status.st_ino) if status is not None else None
