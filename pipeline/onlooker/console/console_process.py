"""The console's process: `python -m onlooker.console.console_process`, started by the program.

It gives signs of life as the processes of the API do.
"""

import asyncio
import logging
import os
import signal
import sys
from pathlib import Path

import uvicorn

from onlooker import piped_process, program_log
from onlooker.api import access_keys, process_protocol, services
from onlooker.api.connection_limits import LimitedConnection
from onlooker.api.listener import BACKLOG, listening
from onlooker.console import sessions
from onlooker.console.settings import ConsoleSettings
from onlooker.console.site import Site
from onlooker.errors import OnlookerError
from onlooker.piped_process import Signs

SHUTDOWN_SECONDS = 1
"""Time that open connections may take to end."""
MAX_MESSAGE_BYTES = 64 * 1024
"""Bytes of a message that a browser may send over its socket."""

logger = logging.getLogger(__name__)


def main() -> None:
    """Serve the pages until SIGTERM; exit with status 1 and a line on stderr if it cannot."""
    program_log.begin("console")
    settings, signs = piped_process.begin(ConsoleSettings)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the program says when to stop
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        run(settings, signs)
    except (OnlookerError, OSError) as error:
        logger.critical("%s", error)
        sys.exit(1)


def run(settings: ConsoleSettings, signs: Signs) -> None:
    """Listen, and answer until SIGTERM. Raises OnlookerError, and OSError if it cannot listen."""
    serve = settings.config.serve
    keys = access_keys.load(Path(serve.keys), services.actions()) if serve.keys else None
    site = Site(settings, keys, os.getppid(), sessions.secret(), sessions.signed_out_path())
    http = http_config(settings, site)
    with (
        listening(settings.address) as listener,
        asyncio.Runner(loop_factory=http.get_loop_factory()) as runner,
    ):
        runner.run(_answer(uvicorn.Server(http), listener, signs, site))


def http_config(settings: ConsoleSettings, site: Site) -> uvicorn.Config:
    """Return the settings of the HTTP server, whose connections are limited as the API's are."""
    serve, proxies = settings.config.serve, [*settings.config.console.proxies]
    return uvicorn.Config(
        site.app(),
        http=LimitedConnection,
        ws="websockets-sansio",
        ws_max_size=MAX_MESSAGE_BYTES,
        ws_per_message_deflate=False,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=proxies,
        backlog=BACKLOG,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        ssl_certfile=serve.certificate,
        ssl_keyfile=serve.private_key,
    )


async def _answer(http: uvicorn.Server, listener: object, signs: Signs, site: Site) -> None:
    heartbeat = asyncio.create_task(process_protocol.beat(signs, lambda: ()))
    try:
        async with site.running():
            await http.serve([listener])  # type: ignore[list-item]
    finally:
        heartbeat.cancel()


if __name__ == "__main__":
    main()
