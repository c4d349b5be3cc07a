"""The process of Kinesis' port: `python -m onlooker.api.kinesis_process`, started by
`onlooker.api.kinesis_server`.

It speaks HTTP/1.1 and HTTP/2 on one port, since Amazon's newer clients of Kinesis speak HTTP/2
alone. It gives way to the processes that analyse frames: consumers that catch up do not slow them.
"""

import asyncio
import logging
import os
import signal
import sys
from pathlib import Path

from hypercorn.asyncio import serve as answer_all
from hypercorn.config import Config as HttpConfig

from onlooker.api import access_keys, metrics, process_protocol, services
from onlooker.api.app import Server
from onlooker.api.http2 import use_patient_connections
from onlooker.api.kinesis.kinesis_context import KinesisContext
from onlooker.api.listener import BACKLOG, listening
from onlooker.api.process_protocol import ProcessSettings
from onlooker.config.section import ConfigError
from onlooker.piped_process import Signs
from onlooker.stream import stream_table
from onlooker.stream.stream_table import StreamTable, StreamTableError

KEEP_ALIVE_SECONDS = 75
"""Time that a connection may be idle: longer than clients keep theirs."""
READ_SECONDS = 90
"""Time without a byte from a client after which its connection is closed."""
MAX_STREAMS = 100
"""Requests at a time of one HTTP/2 connection."""
TLS_END_SECONDS = 2.0
"""Time for a client to end TLS after its last request, or to be taken for gone."""
NICENESS = 5

logger = logging.getLogger(__name__)


def main() -> None:
    """Answer requests until SIGTERM; exit with status 1 and a line on stderr if it cannot."""
    settings, signs = process_protocol.begin()
    os.nice(NICENESS)
    try:
        run(settings, signs)
    except (ConfigError, StreamTableError, OSError) as error:
        logger.critical("%s", error)
        sys.exit(1)


def run(settings: ProcessSettings, signs: Signs) -> None:
    """Listen, and answer until SIGTERM."""
    config, serve = settings.config, settings.config.serve
    use_patient_connections()
    if settings.replacement:
        metrics.RESTARTS.inc()
    keys = access_keys.load(Path(serve.keys), services.actions()) if serve.keys else None
    with StreamTable(stream_table.default_path()) as table:
        context = KinesisContext(config, settings.store, table)
        server = Server(context, keys, services.DATA_STREAMS)
        listener = listening(settings.address)
        asyncio.run(_answer(server, http_config(settings, listener.detach()), signs))
        server.close()
        context.close()


def http_config(settings: ProcessSettings, listener: int) -> HttpConfig:
    """Return the settings of the HTTP server. listener: file of the socket, which it closes."""
    serve = settings.config.serve
    found = HttpConfig()
    found.bind = [f"fd://{listener}"]
    found.backlog = BACKLOG
    found.certfile = serve.certificate
    found.keyfile = serve.private_key or serve.certificate
    found.alpn_protocols = ["h2", "http/1.1"]
    found.keep_alive_timeout = KEEP_ALIVE_SECONDS
    found.read_timeout = READ_SECONDS
    found.h2_max_concurrent_streams = MAX_STREAMS
    found.graceful_timeout = serve.request_timeout
    found.include_server_header = False
    found.accesslog = None
    found.errorlog = logging.getLogger("hypercorn")
    return found


async def _answer(server: Server, http: HttpConfig, signs: Signs) -> None:
    # asyncio waits for the end of TLS of a client that has gone without one, and Hypercorn for that
    # when it stops; neither takes the time as a setting.
    asyncio.constants.SSL_SHUTDOWN_TIMEOUT = TLS_END_SECONDS  # type: ignore[attr-defined]
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    heartbeat = asyncio.create_task(process_protocol.beat(signs, server.probe))
    try:
        await answer_all(server.app(), http, shutdown_trigger=stop.wait)  # type: ignore[arg-type]
    finally:
        heartbeat.cancel()


if __name__ == "__main__":
    main()
