"""One process of the server: `python -m onlooker.api.server_process`, started by
`onlooker.api.server`.

It is told what to do by one line of JSON on its standard input, says "ready" on its standard output
when it listens, and stops when its input ends: whatever becomes of the parent, no process stays.
"""

import logging
import os
import resource
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import msgspec
import uvicorn

from onlooker.api import access_keys, json_log, services
from onlooker.api.app import Server
from onlooker.api.connection_limits import LimitedConnection
from onlooker.api.context import AnalyserPool, Context
from onlooker.api.listener import BACKLOG, Orders, listening
from onlooker.config.schema import Config, ConfigError
from onlooker.identity.errors import StoreError
from onlooker.identity.search.engines import open_searcher
from onlooker.media.buckets import open_buckets
from onlooker.models.card import WeightsError, space
from onlooker.vision.analyser import ALL, Analyser

KEEP_ALIVE = 75
"""Seconds that a connection may be idle: longer than clients keep theirs."""
OPEN_FILES = 4096
TURN = 0.0005
"""Seconds that a thread may hold the interpreter while another one asks for it. A request goes from
the event loop to a thread and back, and with Python's 5 ms each step could take as long as all."""

logger = logging.getLogger(__name__)


def main() -> None:
    """Answer requests until told to stop; status 1 and a line on stderr where that cannot be."""
    json_log.begin()
    orders = msgspec.json.decode(sys.stdin.buffer.readline(), type=Orders, dec_hook=_path)
    # The parent tells us to stop; an interrupt from the terminal reaches it, too.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _leave)
    threading.Thread(target=_stop_at_end_of_input, daemon=True).start()
    try:
        run(orders)
    except (ConfigError, StoreError, WeightsError, OSError) as error:
        logger.critical("%s", error)
        sys.exit(1)


def _path(kind: type, value: object) -> object:
    return kind(value)


def _leave(number: int, _: object) -> None:
    sys.exit(0)


def _stop_at_end_of_input() -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def run(orders: Orders) -> None:
    """Load the models, listen, and answer."""
    settings, serve = orders.settings, orders.settings.serve
    sys.setswitchinterval(TURN)
    cv2.setNumThreads(1)  # pictures are looked at side by side, each by one thread
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most == resource.RLIM_INFINITY or most > OPEN_FILES:
        most = OPEN_FILES
    resource.setrlimit(
        resource.RLIMIT_NOFILE, (most, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    )
    known = access_keys.load(Path(serve.keys), services.actions()) if serve.keys else None
    embedding = space(settings.faces.embedder)
    with open_searcher(orders.store, embedding) as searcher:
        analysers = AnalyserPool(_analysers(settings, orders.threads))
        context = Context(settings, searcher, open_buckets(serve.buckets), analysers)
        server = Server(context, known)
        config = uvicorn.Config(
            server.app(),
            http=LimitedConnection,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # a client's own X-Forwarded-For would give it a share for each
            backlog=BACKLOG,
            timeout_keep_alive=KEEP_ALIVE,
            timeout_graceful_shutdown=int(serve.request_timeout) + 1,
            ssl_certfile=serve.certificate,
            ssl_keyfile=serve.private_key,
        )
        with listening(orders.address) as listener:
            print("ready", flush=True)
            os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # nobody reads any further
            uvicorn.Server(config).run([listener])
        server.close()


def _analysers(settings: Config, number: int) -> list[Analyser]:
    def load() -> Analyser:
        analyser = Analyser(settings)
        analyser.warm_up(ALL)
        return analyser

    with ThreadPoolExecutor(number) as pool:
        return [each.result() for each in [pool.submit(load) for _ in range(number)]]


if __name__ == "__main__":
    main()
