"""`onlooker stream`, which runs what the configuration names, and `onlooker status`, which asks."""

import logging
import os
import re
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer
import zmq
from msgspec.structs import replace
from rich.console import Console
from rich.live import Live
from rich.table import Table

from onlooker.cli.pull_models import pull_models
from onlooker.config import schema
from onlooker.config.load import find, load
from onlooker.config.schema import Config, ConfigError, SourceConfig
from onlooker.identity.errors import StoreError
from onlooker.identity.search.engines import open_searcher
from onlooker.identity.store import default_path
from onlooker.models.card import space
from onlooker.record import curve_keys
from onlooker.record.sinks.publish import check_private
from onlooker.record.sinks.publish_messages import PublishError
from onlooker.stream import messages
from onlooker.stream.messages import Status, StreamStatus
from onlooker.stream.outputs import Outputs
from onlooker.stream.run_directory import endpoint, read, read_feeds, runs
from onlooker.stream.supervisor import RunError
from onlooker.vision import analyser

console = Console(markup=False, emoji=False, highlight=False)

PATIENCE = 2.0
"""Seconds that a run may take to answer."""
REFRESH = 1.0
"""Seconds between looks at a run that is watched."""


def stream(
    sources: Annotated[
        list[str] | None,
        typer.Argument(help="More streams, as NAME=URL.", metavar="[NAME=URL]..."),
    ] = None,
) -> None:
    """Run the streams of the configuration: look at their frames, log and publish the records.

    Goes on until it is stopped; follows changes of the file's [streams]. Example: `onlooker stream
    door=rtsp://user:password@10.0.0.7/1`
    """
    from onlooker.stream.cameras import serve
    from onlooker.stream.metrics import Metrics

    logging.basicConfig(
        level=os.environ.get("ONLOOKER_LOG", "WARNING").upper(),
        format="%(asctime)s %(levelname)s %(message)s",
    )
    more = _named(sources or [])
    path = find()

    def reload() -> Config:
        config = load(path)
        config = replace(config, streams={**config.streams, **more})
        if not config.streams:
            raise ConfigError(
                'there is no stream: write [streams.door] with url = "rtsp://..." into '
                "onlooker.toml, or name one as door=rtsp://..."
            )
        check(config)
        return config

    config = reload()
    outputs = outputs_of(config)
    for one in config.streams.values():
        pull_models(analyser.cards(config.for_source(one)))
    console.print(f"log      {outputs.log_path}", soft_wrap=True)
    if outputs.publish:
        console.print(f"publish  {outputs.publish}", soft_wrap=True)
    with ExitStack() as closing:
        show = _quiet
        if config.metrics.listen:
            try:
                metrics = Metrics(config.metrics.listen)
            except OSError as error:
                raise RunError(
                    f"[metrics] listen: {config.metrics.listen}: {error}; name an address of this "
                    "machine, and a port that nothing else uses, another Onlooker neither"
                ) from error
            closing.callback(metrics.close)
            console.print(f"metrics  http://{config.metrics.listen}/metrics", soft_wrap=True)

            def show(status: Status) -> None:
                metrics.status = status

        status = serve(reload, outputs, show, path)
    console.print(table(status, None, 0.0))


def check(config: Config) -> None:
    """What `onlooker stream` needs beside sources that can be opened. Raises ConfigError."""
    for place, named in (
        ("[log] path", config.log.path),
        ("[log] json_lines", config.log.json_lines),
    ):
        if named is None:
            continue
        path = Path(named).absolute()
        if path.is_dir():
            raise ConfigError(f"{place}: {named} is a folder; name a file")
        if not path.parent.is_dir():
            raise ConfigError(f"{place}: {named}: there is no folder {path.parent}")
    publish = config.publish
    try:
        if publish.endpoint:
            check_private(publish.endpoint, publish.key is not None)
        if publish.key:
            curve_keys.read(Path(publish.key))
        for client in publish.clients:
            curve_keys.check(client)
    except (PublishError, curve_keys.BadKey) as error:
        raise ConfigError(f"[publish] {error}") from error
    for name, one in config.streams.items():
        asked = config.for_source(one)
        if asked.match.collection is not None and asked.faces.enabled:
            try:
                embedder = space(config.faces.embedder)
                with open_searcher(default_path(), embedder) as searcher:
                    searcher.collection(asked.match.collection)
            except StoreError as error:
                raise ConfigError(f"[streams.{name}] collection: {error}") from error


def outputs_of(config: Config) -> Outputs:
    """Where `onlooker stream` records and publishes."""
    return Outputs(
        log=Path(config.log.path) if config.log.path else Outputs().log_path,
        limits=config.log.retention,
        records=Path(config.log.json_lines) if config.log.json_lines else None,
        publish=config.publish.endpoint,
        key=Path(config.publish.key) if config.publish.key else None,
        clients=config.publish.clients,
        patient=True,
    )


def status(
    once: Annotated[bool, typer.Option("--once", help="Print it once, and end.")] = False,
) -> None:
    """Show the streams that this machine runs: frames, drops, lag, and how their sources are.

    Example: `onlooker status --once`
    """
    found = runs()
    if not found:
        raise RunError("nothing runs here; start `onlooker stream`, or a replay")
    with ExitStack() as closing:
        context = closing.enter_context(zmq.Context())
        hubs = [closing.enter_context(_Hub(context, run)) for run in found]
        before: list[Status | None] = [None] * len(hubs)
        began = time.monotonic()
        before = [hub.ask() for hub in hubs]
        if not any(before):
            places = ", ".join(str(run) for run in found)
            raise RunError(f"what runs in {places} does not answer; ask again in a few seconds")
        if once:
            time.sleep(REFRESH)
        live = None if once else closing.enter_context(Live(console=console, auto_refresh=False))
        try:
            while any(before):
                if live is not None:
                    time.sleep(REFRESH)
                now = [hub.ask() for hub in hubs]
                seconds, began = time.monotonic() - began, time.monotonic()
                shown = Table.grid()
                for hub, new, old in zip(hubs, now, before, strict=True):
                    if new is not None:
                        if len(hubs) > 1:
                            shown.add_row(hub.title)
                        shown.add_row(table(new, old, seconds))
                        shown.add_row(workers(new, old, seconds))
                before = now
                if live is None:
                    console.print(shown)
                    return
                live.update(shown, refresh=True)
        except KeyboardInterrupt:
            return


class _Hub:
    """The hub of a run, to ask."""

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]", run: Path) -> None:
        self._socket = context.socket(zmq.DEALER)
        self._socket.linger = 0
        self._socket.connect(endpoint(run))
        try:
            logs = {str(feed.outputs.log_path) for feed in read_feeds(run)}
            self.title = f"process {read(run).parent}, log {', '.join(sorted(logs))}"
        except FileNotFoundError:  # it begins, or has ended
            self.title = run.name

    def ask(self) -> Status | None:
        """How things are; None where nobody answers."""
        while self._socket.poll(0):
            self._socket.recv_multipart()  # of before
        self._socket.send_multipart(messages.pack(messages.StatusRequest()))
        if not self._socket.poll(round(PATIENCE * 1000)):
            return None
        message, _ = messages.unpack_from_hub(self._socket.recv_multipart())
        return message if isinstance(message, Status) else None

    def __enter__(self) -> "_Hub":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()


def table(now: Status, before: Status | None, seconds: float) -> Table:
    """A run as a table: rates are of the `seconds` since `before`."""
    made = Table(title_justify="left")
    for heading in ("stream", "fps", "received", "analysed", "failed", "dropped", "lag", "source"):
        made.add_column(heading, justify="left" if heading in ("stream", "source") else "right")
    known = {stream.name: stream for stream in before.streams} if before else {}
    for stream in now.streams:
        counts, old = stream.counts, known.get(stream.name)
        rate = (counts.done - old.counts.done) / seconds if old and seconds else 0.0
        made.add_row(
            stream.name,
            f"{rate:.1f}",
            str(counts.received),
            str(counts.done),
            _causes(counts.failed),
            _causes(counts.dropped),
            f"{stream.lag[0]:.2f} < {stream.lag[1]:.2f} s",
            _source(stream),
        )
    return made


def workers(now: Status, before: Status | None, seconds: float) -> Table:
    """Who works, and for how much of the time."""
    made = Table(title_justify="left")
    for heading in ("worker", "frames", "busy"):
        made.add_column(heading, justify="left" if heading == "worker" else "right")
    known = {worker.name: worker.busy for worker in before.workers} if before else {}
    for worker in now.workers:
        busy = (worker.busy - known.get(worker.name, worker.busy)) / seconds if seconds else 0.0
        alive = "" if worker.name in now.alive else ", silent"
        made.add_row(worker.name, str(worker.frames), f"{busy:.0%}{alive}")
    return made


def _causes(counts: Mapping[Any, int]) -> str:
    return ", ".join(f"{number} {cause}" for cause, number in counts.items()) or "0"


def _source(stream: StreamStatus) -> str:
    parts = [stream.health or ("ended" if stream.finished else "well")]
    if stream.error:
        parts.append(stream.error)
    if stream.reconnects:
        parts.append(f"{stream.reconnects} reconnects")
    return ", ".join(parts)


def _named(sources: list[str]) -> dict[str, SourceConfig]:
    found: dict[str, SourceConfig] = {}
    for each in sources:
        name, _, url = each.partition("=")
        if not url or not re.fullmatch(schema.STREAM_NAME, name):
            raise typer.BadParameter(
                f"write a stream as NAME=URL, not {each!r}; a name has letters, digits, '.', '_' "
                "and '-'"
            )
        try:
            found[name] = SourceConfig(url=url)
        except ConfigError as error:
            raise ConfigError(f"{name}: {error}") from None
    return found


def _quiet(status: Status) -> None:
    """Nobody asked for metrics."""
