"""One process of the server: `python -m onlooker.api.server_process`, started by
`onlooker.api.server`; `onlooker.api.process_protocol` says how the two talk.
"""

import asyncio
import logging
import os
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import cv2
import uvicorn

from onlooker.api import access_keys, metrics, process_protocol, services
from onlooker.api.app import Server
from onlooker.api.connection_limits import LimitedConnection
from onlooker.api.context import AnalyserPool, Context
from onlooker.api.listener import BACKLOG, listening
from onlooker.api.process_protocol import ProcessSettings
from onlooker.api.request_traces import RequestTraces
from onlooker.api.usage import Usage
from onlooker.child_process import stoppable_at_once
from onlooker.config.schema import Config
from onlooker.config.section import ConfigError
from onlooker.identity.errors import StoreError
from onlooker.identity.search.engines import open_searcher
from onlooker.jobs.job_store import JobStore
from onlooker.media.buckets import open_buckets
from onlooker.models.card import WeightsError, space
from onlooker.piped_process import Signs
from onlooker.stream import stream_table
from onlooker.stream.stream_table import StreamTable, StreamTableError
from onlooker.traces import TracesError, open_spans
from onlooker.vision.analyser import ALL, Analyser

KEEP_ALIVE_SECONDS = 75
"""Time that a connection may be idle: longer than clients keep theirs."""
SWITCH_SECONDS = 0.0005
"""Time that a thread may hold the interpreter while another one asks for it. A request goes from
the event loop to a thread and back; with Python's 5 ms each step could take as long as the rest."""

logger = logging.getLogger(__name__)


def main() -> None:
    """Answer requests until SIGTERM; exit with status 1 and a line on stderr if it cannot."""
    settings, signs = process_protocol.begin()
    try:
        run(settings, signs)
    except (
        ConfigError,
        StoreError,
        StreamTableError,
        WeightsError,
        TracesError,
        OSError,
    ) as error:
        logger.critical("%s", error)
        sys.exit(1)


def run(settings: ProcessSettings, signs: Signs) -> None:
    """Load the models, listen, and answer until SIGTERM."""
    config, serve = settings.config, settings.config.serve
    sys.setswitchinterval(SWITCH_SECONDS)
    cv2.setNumThreads(1)  # images are analysed side by side, each by one thread
    if settings.replacement:
        metrics.RESTARTS.inc()
    known = access_keys.load(Path(serve.keys), services.actions()) if serve.keys else None
    embedding, url = space(config.faces.embedder), config.store.url
    with (
        open_searcher(settings.store, embedding, url) as searcher,
        ExitStack() as closing,
    ):
        streams = closing.enter_context(StreamTable(stream_table.default_path()))
        jobs = None
        if settings.jobs:
            jobs = closing.enter_context(JobStore(config.jobs, config.topics))
        with stoppable_at_once():
            analysers = AnalyserPool(_analysers(config, settings.threads))
        buckets = open_buckets(serve.buckets)
        context = Context(config, searcher, buckets, analysers, streams, jobs, settings.url)
        usage = closing.enter_context(Usage(settings.store))
        spans = open_spans(config.telemetry.traces, f"api.{os.getpid()}")
        traces = None
        if spans is not None:
            closing.callback(spans.close)
            traces = RequestTraces(spans, config.telemetry.requests)
        server = Server(context, known, count=usage.count, traces=traces)
        http = uvicorn.Config(
            server.app(),
            http=LimitedConnection,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # a client's own X-Forwarded-For would give it a share for each
            backlog=BACKLOG,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=int(serve.request_timeout) + 1,
            ssl_certfile=serve.certificate,
            ssl_keyfile=serve.private_key,
        )
        with (
            listening(settings.address) as listener,
            asyncio.Runner(loop_factory=http.get_loop_factory()) as runner,
        ):
            runner.run(_answer(uvicorn.Server(http), listener, signs, server))
        server.close()


async def _answer(
    http: uvicorn.Server, listener: socket.socket, signs: Signs, server: Server
) -> None:
    heartbeat = asyncio.create_task(process_protocol.beat(signs, server.probe))
    try:
        await http.serve([listener])
    finally:
        heartbeat.cancel()


def _analysers(config: Config, number: int) -> list[Analyser]:
    def load() -> Analyser:
        analyser = Analyser(config)
        analyser.warm_up(ALL)
        return analyser

    if config.runtime.provider == "cuda":
        return [load()] * number  # one for all threads, whose images share batches
    with ThreadPoolExecutor(number) as pool:
        return [each.result() for each in [pool.submit(load) for _ in range(number)]]


if __name__ == "__main__":
    main()
