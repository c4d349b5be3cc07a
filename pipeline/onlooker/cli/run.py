"""`onlooker run`: everything that the configuration names, under one supervisor.

`onlooker stream` and `onlooker serve` are the same with one half each.
"""

import logging
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from onlooker import program_log
from onlooker.child_process import Group
from onlooker.cli import terminal
from onlooker.cli.pull_models import pull_models
from onlooker.cli.status import streams_table
from onlooker.cli.terminal import plain
from onlooker.config.load import find, has_section, load
from onlooker.config.schema import Config, SourceConfig
from onlooker.config.section import ConfigError
from onlooker.identity.errors import StoreError
from onlooker.identity.search.engines import check_collection
from onlooker.identity.store import default_path
from onlooker.models.card import space
from onlooker.record import curve_keys
from onlooker.record.destinations import destination
from onlooker.record.sinks import endpoints
from onlooker.record.sinks.publish_messages import PublishError
from onlooker.stream import gateway_process, processors, sink_processes, stream_table
from onlooker.stream.errors import RunError, Stopped
from onlooker.stream.messages import Status
from onlooker.stream.outputs import Outputs
from onlooker.stream.sink_processes import SinkProcesses
from onlooker.stream.stream_table import StreamTable
from onlooker.stream.wanted_streams import WantedStreams
from onlooker.vision import analyser

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

logger = logging.getLogger(__name__)


def run(
    config: Annotated[Path | None, typer.Option(help="Configuration file.")] = None,
) -> None:
    """Run what the configuration names: streams, publisher, API, jobs, Kinesis, console, metrics.

    Continues until it is stopped; follows changes of the file's [streams]. `onlooker status` shows
    how it is. Example: `onlooker run --config onlooker.toml`
    """
    path = config or find()

    def load_file() -> Config:
        settings = load(path)
        check(settings)
        beside = table.added() or any(each.wanted for each in processors.stored(table))
        # A file that is just being written is empty, too.
        if not (settings.streams or beside or any(map(has, ("serve", "kinesis", "console")))):
            raise ConfigError(
                'there is nothing to run: write [streams.door] with url = "rtsp://...", or '
                f"[serve], or [console], into {path or 'onlooker.toml'}"
            )
        return settings

    def has(section: str) -> bool:
        return path is not None and has_section(section, path)

    with StreamTable(stream_table.default_path()) as table, table.runner() as ours:
        settings = load_file()
        if has("jobs") and not has("serve"):
            raise ConfigError("[jobs] needs [serve]: clients start jobs over HTTP")
        program_log.begin(form="json" if has("serve") or has("kinesis") else "plain")
        reload = WantedStreams(load_file, table, check_stream) if ours else load_file
        if not ours:
            logger.warning(
                "streams beside the configuration are not run: another `onlooker run` has them; "
                "set ONLOOKER_DATA to another folder for this one"
            )
        run_program(
            reload,
            path,
            api=settings if has("serve") else None,
            kinesis=settings if has("kinesis") else None,
            console=settings if has("console") else None,
            jobs=has("jobs"),
        )


def run_program(
    reload: Callable[[], Config],
    watched: Path | None,
    api: Config | None,
    kinesis: Config | None = None,
    console: Config | None = None,
    jobs: bool = False,
    on_console: Callable[[str], None] = lambda url: None,
) -> None:
    """Run streams, publisher, API and the rest until a signal, or until all videos have ended.

    reload: returns the configuration whose streams run; called again if the file `watched` changes,
    and on SIGHUP. api, kinesis, console: their configurations; None if they are not wanted. jobs:
    whether the API takes jobs over stored videos, which run here too. on_console: receives the
    console's URL once it listens. Raises OnlookerError.
    """
    from onlooker.stream.cameras import serve

    config = reload()
    outputs = outputs_of(config)
    _prepare(config, outputs, api, jobs)
    named = config.sinks if config.streams or isinstance(reload, WantedStreams) else {}
    stopped: Stopped | None = None
    with ExitStack() as closing:
        beside = ServerGroups(closing, outputs.log_path, on_console)
        beside.start(api, kinesis, console, jobs)
        sinks = closing.enter_context(sink_processes.running(outputs.log_path, named))
        on_status = _metrics(config, beside, sinks, closing)
        try:
            followers = [sinks] if named else []
            status = serve(
                reload, outputs, on_status, watched, others=beside.groups, followers=followers
            )
        except Stopped as stop:
            status, stopped = stop.status, stop
        sinks.finish(stopped=True)
    if config.streams:
        terminal.console.print(streams_table(status, None, 0.0))
    if stopped is not None:
        if config.streams:
            stopped.add_note(f"records are in {outputs.log_path}, where the next start continues")
        raise stopped


def _prepare(config: Config, outputs: Outputs, api: Config | None, jobs: bool) -> None:
    """Check what would end the program later, build the models, and print where records go."""
    from onlooker.api import server
    from onlooker.jobs import job_processes

    if outputs.publish is not None and config.streams:
        endpoints.check_free(outputs.publish)
    if api is not None:
        check_ports(api)
        if jobs:
            job_processes.check(api)
        api = api.with_thorough_detection() if api.serve.thorough else api
        server.check(api)
        pull_models(analyser.cards(api, analyser.ALL))
        # Stream processors may come at any time.
        any_stream = SourceConfig(url="test://moving", faces=True)
        pull_models(analyser.cards(config.for_source(any_stream)))
    for source in config.streams.values():
        pull_models(analyser.cards(config.for_source(source)))
    if config.streams:
        plain.print(f"log      {outputs.log_path}")
        if outputs.publish:
            plain.print(f"publish  {outputs.publish}")
        for name, sink in config.sinks.items():
            plain.print(f"sink     {name}, {sink.kind}")


class ServerGroups:
    """The groups of processes that answer requests, which run beside the streams.

    closing: closes them. log: of the streams' records. on_console: see `run_program`.
    """

    def __init__(self, closing: ExitStack, log: Path, on_console: Callable[[str], None]) -> None:
        self.groups: list[Group] = []
        self.collectors: list[Callable[[CollectorRegistry], None]] = []
        """Each registers metrics of a group."""
        self._closing = closing
        self._log = log
        self._on_console = on_console

    def start(
        self, api: Config | None, kinesis: Config | None, console: Config | None, jobs: bool
    ) -> None:
        """Start those that are wanted; see `run_program`."""
        counting = self._start_api(api, jobs) if api is not None else None
        if kinesis is not None:
            self._start_kinesis(kinesis, counting)
        if console is not None:
            self._start_console(console)

    def _start_api(self, config: Config, jobs: bool) -> Path | None:
        """Start the API and its jobs; return the folder of its metrics."""
        from onlooker.api import server
        from onlooker.jobs import job_processes

        def ready(url: str) -> None:
            plain.print(f"listening at {url}")
            if config.serve.keys is None:
                plain.print("no keys are configured: anybody on this machine may do everything")

        thorough = config.with_thorough_detection() if config.serve.thorough else config
        running = server.running(thorough, default_path(), ready, jobs)
        processes = self._closing.enter_context(running)
        self.groups.append(processes)
        self.collectors.append(processes.register_metrics)
        if jobs:
            working = job_processes.running(config, default_path())
            self.groups.append(self._closing.enter_context(working))
            self.collectors.append(lambda registry: self._register_jobs(registry, config))
        return processes.metrics

    def _register_jobs(self, registry: "CollectorRegistry", config: Config) -> None:
        from onlooker.jobs.job_store import JobStore
        from onlooker.jobs.metrics import JobMetrics

        registry.register(JobMetrics(self._closing.enter_context(JobStore(config.jobs))))

    def _start_kinesis(self, config: Config, counting: Path | None) -> None:
        """counting: folder of the API's metrics; None if there is no API."""
        from onlooker.api import kinesis_server

        def ready(url: str) -> None:
            plain.print(f"kinesis  {url}")

        running = kinesis_server.running(config, self._log, ready, counting)
        processes = self._closing.enter_context(running)
        self.groups.append(processes)
        if counting is None:
            self.collectors.append(processes.register_metrics)

    def _start_console(self, config: Config) -> None:
        from onlooker.console import supervised

        def ready(url: str) -> None:
            plain.print(f"console  {url}")
            self._on_console(url)

        running = supervised.running(config, default_path(), self._log, ready)
        self.groups.append(self._closing.enter_context(running))


def _metrics(
    config: Config, beside: ServerGroups, sinks: SinkProcesses, closing: ExitStack
) -> Callable[[Status], None]:
    """Serve the metrics if they are wanted; return what takes each status. Raises RunError."""
    if not config.metrics.listen:
        return lambda status: None
    from onlooker.stream.metrics import Metrics, SinkMetrics

    try:
        metrics = Metrics(config.metrics.listen)
    except OSError as error:
        raise RunError(
            f"[metrics] listen: {config.metrics.listen}: {error}; name an address of this "
            "machine, and a port that no other program uses, nor another Onlooker"
        ) from error
    closing.callback(metrics.close)
    for register in beside.collectors:
        register(metrics.registry)
    metrics.registry.register(SinkMetrics(sinks.status))
    plain.print(f"metrics  http://{config.metrics.listen}/metrics")
    return metrics.update


def check(config: Config) -> None:
    """Raise ConfigError if the streams cannot run, whatever their sources are."""
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
            endpoints.check_publishable(publish.endpoint, publish.key is not None)
        if publish.key:
            curve_keys.read(Path(publish.key))
        for client in publish.clients:
            curve_keys.check(client)
    except (PublishError, curve_keys.BadKey) as error:
        raise ConfigError(f"[publish] {error}") from error
    for name, sink in config.sinks.items():
        destination.check(name, sink)
    gateway_process.check(config.workers)
    for name, one in config.streams.items():
        try:
            check_stream(config, one)
        except StoreError as error:
            raise ConfigError(f"[streams.{name}] collection: {error}") from error


def check_stream(config: Config, source: SourceConfig) -> None:
    """Raise StoreError unless the collection that a stream is searched in can be used."""
    asked = config.for_source(source)
    if asked.match.collection is not None and asked.faces.enabled:
        embedder, url = space(config.faces.embedder), config.store.url
        check_collection(default_path(), embedder, asked.match.collection, url)


def check_ports(config: Config) -> None:
    """Raise ConfigError if [metrics] and [serve] would listen at one address."""
    if not config.metrics.listen:
        return
    host, _, port = config.metrics.listen.rpartition(":")
    if host == config.serve.host and int(port) in (config.serve.port, config.serve.metrics_port):
        raise ConfigError(
            f"[metrics] listen: {config.metrics.listen} is an address of [serve] too; name another "
            "port"
        )


def outputs_of(config: Config) -> Outputs:
    """Return where records of the configuration's streams go."""
    return Outputs(
        log=Path(config.log.path) if config.log.path else Outputs().log_path,
        limits=config.log.retention,
        records=Path(config.log.json_lines) if config.log.json_lines else None,
        publish=config.publish.endpoint,
        key=Path(config.publish.key) if config.publish.key else None,
        clients=config.publish.clients,
        patient=True,
    )
