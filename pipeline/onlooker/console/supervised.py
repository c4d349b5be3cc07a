"""The console's process, as a group of the program: started, watched and restarted."""

import logging
import select
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from onlooker import piped_process
from onlooker.api import access_keys, services
from onlooker.api.listener import ServeError, reserved
from onlooker.api.server import is_loopback, resolved
from onlooker.child_process import Child, ProcessStatus, stop
from onlooker.config.schema import Config
from onlooker.config.section import ConfigError
from onlooker.console.settings import ConsoleSettings

MODULE = "onlooker.console.console_process"
MAX_SILENCE_SECONDS = 15.0
"""Time without a sign of life after which the process hangs."""
MAX_START_SECONDS = 300.0
"""Time that it may take to listen, on a machine that is busy with its streams."""
STEADY_SECONDS = 60.0
"""Time that it must live for the next restart to be at once."""
STOP_SECONDS = 3.0

logger = logging.getLogger(__name__)


def check(config: Config) -> None:
    """Raise ConfigError if the console would be open to other machines, or cannot read its keys."""
    if config.serve.keys is not None:
        access_keys.load(Path(config.serve.keys), services.actions())
    elif not is_loopback(config.console.host):
        raise ConfigError(
            f"[console] listen: {config.console.listen} can be reached from other machines, and "
            "without keys anybody there could see everything; set [serve] keys, or listen on "
            "127.0.0.1"
        )


@contextmanager
def running(
    config: Config, store: Path, log: Path, on_ready: Callable[[str], None]
) -> "Iterator[ConsoleGroup]":
    """Yield the console as a group that `supervise` watches, and stop it at the end.

    store: file of the collections. `on_ready` receives the URL once it listens. Raises ServeError
    and ConfigError.
    """
    check(config)
    address = (resolved(config.console.host), config.console.port)
    with reserved(address, "as [console] listen") as keeper:
        settings = ConsoleSettings(
            config=config, store=store, log=log, address=keeper.getsockname()[:2]
        )
        group = ConsoleGroup(settings, on_ready)
        try:
            yield group
        finally:
            group.close()


class ConsoleGroup:
    """The console's process as a group for `supervise`."""

    finished = False

    def __init__(self, settings: ConsoleSettings, on_ready: Callable[[str], None]) -> None:
        self._settings = settings
        self._on_ready = on_ready
        self._announced = False
        self._child = Child("console", MODULE, piped=True, stop_seconds=STOP_SECONDS)
        self._heard = 0.0

    @property
    def url(self) -> str:
        host, port = self._settings.address
        scheme = "https" if self._settings.config.serve.certificate else "http"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"

    def wait(self, seconds: float) -> None:
        """Wait for a sign of life for some time."""
        process = self._child.process
        if process is not None and process.stdout is not None:
            select.select([process.stdout], [], [], seconds)
        else:
            time.sleep(seconds)

    def watch(self) -> None:
        """See to the process. Raises ServeError if it ends before it has ever listened."""
        now, child = time.monotonic(), self._child
        if child.read():
            self._heard, child.ready = now, True
        silence = now - (self._heard if child.ready else child.started)
        limit = MAX_SILENCE_SECONDS if child.ready else MAX_START_SECONDS
        if child.running and child.stopping is None and silence > limit:
            child.kill(f"it is silent since {silence:.0f} s")
        life = child.life
        how = child.check(now)
        if how is not None and child.stopping is None:
            if not self._announced and not child.ready:
                raise ServeError(f"the console ended before it listened ({how}); see above")
            wait = child.restart(now, child.ready and now - child.started > STEADY_SECONDS)
            logger.error("process died name=%s how=%s restart_in=%.0f", child.name, how, wait)
        elif child.life != life:
            child.send(piped_process.pack(self._settings))
        if child.ready and not self._announced:
            self._announced = True
            self._on_ready(self.url)

    def processes(self) -> list[ProcessStatus]:
        return [self._child.status]

    def stop(self) -> None:
        """Have the process end."""
        self._child.stop(time.monotonic())

    def close(self) -> None:
        """Stop the process, and wait until it has ended."""
        stop([self._child], STOP_SECONDS)
