"""The process that answers Kinesis' clients, on a port of its own."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from onlooker.api import server
from onlooker.api.kinesis.kinesis_context import THREADS
from onlooker.api.listener import reserved
from onlooker.api.process_protocol import ProcessSettings
from onlooker.api.server import Processes
from onlooker.config.schema import Config
from onlooker.config.section import ConfigError

MODULE = "onlooker.api.kinesis_process"
PATIENCE = 4.0
"""Factor of the silence after which the process hangs: it gives way to all others."""


def check(config: Config) -> None:
    """Raise ConfigError if the port would not open, or would be open to other machines."""
    server.check(config)
    if not server.is_loopback(config.kinesis.host):
        for name in ("keys", "certificate"):
            if getattr(config.serve, name) is None:
                raise ConfigError(
                    f"[kinesis] host: {config.kinesis.host} can be reached from other machines; "
                    f"set [serve] {name}, or listen on 127.0.0.1"
                )


@contextmanager
def running(
    config: Config, log: Path, on_ready: Callable[[str], None], metrics: Path | None
) -> Iterator[Processes]:
    """Yield the process, which `watch` starts, and stop it at the end.

    metrics: folder that it counts in; None means one of its own. `on_ready` receives the URL once
    it listens. Raises ServeError and ConfigError.
    """
    check(config)
    with ExitStack() as closing:
        if metrics is None:
            folder = tempfile.TemporaryDirectory(prefix="onlooker-metrics-")
            metrics = Path(closing.enter_context(folder))
        address = server.resolved(config.kinesis.host), config.kinesis.port
        keeper = closing.enter_context(reserved(address, "in [kinesis] listen"))
        settings = ProcessSettings(
            config=config, store=log, address=keeper.getsockname()[:2], threads=THREADS
        )
        processes = Processes(settings, metrics, on_ready, MODULE, "kinesis", 1, PATIENCE)
        closing.callback(processes.close)
        yield processes
