"""Streams of the configuration, which come, go and change while a run lasts."""

import logging
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from msgspec.structs import replace

from onlooker.child_process import Group, ProcessStatus, every, in_turn, signals, supervise
from onlooker.config.schema import Config, SourceConfig
from onlooker.errors import OnlookerError
from onlooker.stream import capacity, run_directory
from onlooker.stream.apart import Apart
from onlooker.stream.errors import Stopped
from onlooker.stream.feeds import Feed, feeds_of
from onlooker.stream.messages import Status
from onlooker.stream.outputs import Outputs
from onlooker.stream.processor_states import Feeding, ProcessorStates
from onlooker.stream.ring import Ring
from onlooker.stream.stage import Stage
from onlooker.stream.stages import STAGES
from onlooker.stream.supervisor import STATUS_SECONDS, Run, running
from onlooker.stream.wanted_streams import WantedStreams

RELOAD_SECONDS = 1.0
"""Time between two checks of the configuration's file."""
EXPECTED_STREAMS, EXPECTED_SIZE = 8, (1920, 1080)
"""Streams, and width and height of their images, for which room is asked for in memory."""

logger = logging.getLogger(__name__)


def serve(
    load: Callable[[], Config],
    outputs: Outputs,
    on_status: Callable[[Status], None],
    watched: Path | None = None,
    stages: Sequence[Stage] = STAGES,
    others: Sequence[Group] = (),
    store: Path | None = None,
    followers: Sequence[Group] = (),
) -> Status:
    """Run all streams of the configuration that `load` gives, until SIGTERM or SIGINT.

    On SIGHUP, and if the file `watched` changes, it is loaded again: streams come, go and change
    without the others; other changes take effect at the next start. With neither streams nor a
    file, SIGHUP stops as SIGTERM does. Returns when all streams have ended, which cameras never do,
    or on a signal to stop. Raises Stopped after SIGINT, RunError, and what `load` and `feeds_of` do
    for the first configuration.

    load: if it is a WantedStreams, its table is followed as the file is. others: groups of
    processes that run beside the streams, of which there may be none then. If the streams fail, the
    others continue, and RunError is raised after a signal to stop. store: file of the collections;
    None for the user's own. followers: groups that are of use only beside streams.
    """
    changed = Changed(watched)  # first, so that no later change is missed
    config = _first(load)
    feeds = feeds_of(config.streams, config, outputs) if config.streams else []
    with signals() as received, running(config, stages, _room(config, load), store=store) as run:
        streams, apart = Streams(run, config, outputs, feeds), Apart(run)
        groups = [apart if others else run, *others, *followers]
        followed = FollowedConfig(load, changed, streams, apart, run.run)
        number = supervise(
            groups,
            received,
            in_turn(
                every(STATUS_SECONDS, lambda: on_status(apart.status)),
                every(RELOAD_SECONDS, followed.check),
                every(STATUS_SECONDS, Report(run.run, groups)),
            ),
            followed.reload if config.streams or followed.can_change else None,
        )
        if number is None:
            run.finish()
            on_status(run.status)
        if apart.error is not None:
            raise apart.error
        if number == signal.SIGINT:  # not the usual end of a service, as SIGTERM is
            raise Stopped(number, run.status)
        if number is not None:
            logger.warning("stopping signal=%s", signal.Signals(number).name)
        return run.status


def _first(load: Callable[[], Config]) -> Config:
    """Return the configuration to begin with. Raises what `load` does."""
    config = _enabled(load())
    if isinstance(load, WantedStreams):
        # Of these an error ends the program; the others follow in the first round.
        config = replace(config, streams=load.of_file(config.streams))
    return config


def _enabled(config: Config) -> Config:
    """Return the configuration without streams that do not run by themselves."""
    enabled = {name: source for name, source in config.streams.items() if source.enabled}
    return replace(config, streams=enabled)


def _room(config: Config, load: Callable[[], Config]) -> int:
    """Return the bytes for frames; 0 if no stream can ever come."""
    if not config.streams and not isinstance(load, WantedStreams):
        return 0
    return EXPECTED_STREAMS * capacity.window(config) * Ring.slot_bytes_for(*EXPECTED_SIZE)


class Streams:
    """The streams of a run, as the configuration has them at the moment."""

    def __init__(self, run: Run, config: Config, outputs: Outputs, feeds: Sequence[Feed]) -> None:
        self._run = run
        self._config = config
        self._outputs = outputs
        self._sources = dict(config.streams)
        self._next = len(feeds) + 1
        self.failures: dict[str, str] = {}
        """Why streams were not started, by name."""
        self.numbers: dict[str, int] = {}
        """Numbers of the feeds of the streams that run, by name."""
        for feed in feeds:
            run.add(feed)
            self.numbers[feed.stream] = feed.number

    def reload(self, load: Callable[[], Config]) -> None:
        """Start and stop streams as the configuration says; change nothing if it cannot be used."""
        try:
            config = _enabled(load())
        except OnlookerError as error:
            logger.error("configuration not taken error=%s", error)
            return
        if replace(config, streams={}) != replace(self._config, streams={}):
            logger.warning("only streams change while running; restart for the other changes")
        self.change(config.streams)

    def change(self, wanted: Mapping[str, SourceConfig]) -> None:
        """Stop streams that are not wanted, or wanted otherwise; start those that are new.

        A stream that cannot be started with its new settings continues with the old ones.
        """
        self.failures = {}
        for name in [name for name in self._sources if name not in wanted]:
            self._stop(name)
        for name, source in wanted.items():
            if self._sources.get(name) == source:
                continue
            try:
                [feed] = feeds_of({name: source}, self._config, self._outputs, self._next)
            except OnlookerError as error:
                self._not_started(name, error)
                continue
            if name in self._sources:
                self._stop(name)
            self._next += 1
            try:
                self._run.add(feed)
            except (OnlookerError, OSError) as error:
                self._not_started(name, error)
                continue
            logger.warning("stream started stream=%s", name)
            self._sources[name] = source
            self.numbers[name] = feed.number

    def _not_started(self, name: str, error: Exception) -> None:
        self.failures[name] = str(error)
        logger.error("stream not started stream=%s error=%s", name, error)

    def _stop(self, name: str) -> None:
        logger.warning("stream stopped stream=%s", name)
        self._run.remove(name)
        del self._sources[name], self.numbers[name]


class FollowedConfig:
    """The configuration of a run, which is loaded again when it changes.

    load: see `serve`. changed: says whether its file has. apart: the streams, which may have
    failed. run: directory of the run.
    """

    def __init__(
        self,
        load: Callable[[], Config],
        changed: "Changed",
        streams: Streams,
        apart: Apart,
        run: Path,
    ) -> None:
        wanted = load if isinstance(load, WantedStreams) else None
        self.can_change = changed.path is not None or wanted is not None
        """Whether it is more than what was there at the start."""
        self._load = load
        self._streams = streams
        self._apart = apart
        self._changed = changed
        self._states = ProcessorStates(wanted, run) if wanted is not None else None

    def check(self) -> None:
        """Load it again if its file or its table has changed; note what became of the table's."""
        # Both are asked, so that one reload is for both.
        if self._changed() | (self._states is not None and self._states.changed()):
            self.reload()
        if self._states is not None:
            failure = None if self._apart.error is None else str(self._apart.error)
            feeding = Feeding(self._streams.failures, self._streams.numbers)
            self._states.update(feeding, self._apart.status, failure)

    def reload(self) -> None:
        """Load it again, unless the streams have failed."""
        if self._apart.error is None:
            self._streams.reload(self._load)
        else:
            logger.error("configuration not taken error=the streams have failed; restart")


class Report:
    """Writes down the processes of all groups when something about them changes."""

    def __init__(self, run: Path, groups: Sequence[Group]) -> None:
        self._run = run
        self._groups = groups
        self._before: list[ProcessStatus] = []

    def __call__(self) -> None:
        now = [process for group in self._groups for process in group.processes()]
        if now != self._before:
            self._before = now
            try:
                run_directory.write_processes(self._run, now)
            except OSError as error:  # a full disk does not stop what runs
                logger.warning("processes not written down cause=%s", error)


class Changed:
    """Whether a file has changed since the last call."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._before = self._version()

    def __call__(self) -> bool:
        before, self._before = self._before, self._version()
        return before != self._before

    def _version(self) -> tuple[int, int] | None:
        """Return a value that changes with the file; None if there is none, as during a rename."""
        try:
            status = self.path.stat() if self.path is not None else None
        except OSError:
            return None
        return (status.st_mtime_ns, status.st_ino) if status is not None else None
