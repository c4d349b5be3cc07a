"""The API's operations in the console's process, for pages that try one and that enrol people.

They work without `[serve]`. The models are loaded when an image comes, which takes seconds, and let
go again when none has come for some minutes, so that a console that only shows pages stays small.
"""

import gc
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec

from onlooker.api.access_keys import Key
from onlooker.api.context import AnalyserPool, Context
from onlooker.api.dispatch import Call, Pending, authorise, handle
from onlooker.api.rekognition.operations import REKOGNITION
from onlooker.api.usage import Usage
from onlooker.config.schema import Config
from onlooker.console.settings import ConsoleSettings
from onlooker.identity.search.engines import open_searcher
from onlooker.identity.search.searcher import Searcher
from onlooker.media.buckets import open_buckets
from onlooker.models.card import space
from onlooker.vision.analyser import Analyser

IDLE_SECONDS = 300.0
"""Time without an image after which the models are let go."""


class LazyAnalyser(AnalyserPool):
    """One analyser, lent to one thread at a time, loaded when it is wanted."""

    def __init__(self, config: Config, idle_seconds: float = IDLE_SECONDS) -> None:
        super().__init__(())
        self._config = config
        self._idle_seconds = idle_seconds
        self._lock = threading.Lock()
        self._analyser: Analyser | None = None
        self._used = 0.0

    @property
    def loaded(self) -> bool:
        """Whether it is in memory."""
        return self._analyser is not None

    @contextmanager
    def lend(self) -> Iterator[Analyser]:
        """Lend the analyser; wait until it is free. Raises WeightsError."""
        with self._lock:
            if self._analyser is None:
                self._analyser = Analyser(self._config)
                threading.Thread(target=self._let_go, daemon=True).start()
            try:
                yield self._analyser
            finally:
                self._used = time.monotonic()

    def _let_go(self) -> None:
        """Drop the analyser once it is idle."""
        while True:
            time.sleep(self._idle_seconds / 4)
            with self._lock:
                if time.monotonic() - self._used >= self._idle_seconds:
                    self._analyser = None
                    break
        gc.collect()


class LocalApi:
    """Runs operations of Amazon Rekognition as the API does. Threads may use it together."""

    def __init__(self, settings: ConsoleSettings) -> None:
        config = settings.config
        self._settings = settings
        # As `onlooker serve` detects, so that a page shows what the API would answer.
        self._config = config.with_thorough_detection() if config.serve.thorough else config
        self._lock = threading.Lock()
        self._searcher: Searcher | None = None
        self.analyser = LazyAnalyser(self._config)
        self._usage = Usage(settings.store)

    @property
    def searcher(self) -> Searcher:
        """The collections. Raises StoreError."""
        with self._lock:
            if self._searcher is None:
                model = space(self._config.faces.embedder)
                self._searcher = open_searcher(self._settings.store, model, self._config.store.url)
            return self._searcher

    def answer(self, key: Key | None, operation: str, fields: Mapping[str, Any]) -> bytes:
        """Return the JSON that the API answers to the request of these fields.

        key: whose permissions hold; None means that no keys are configured. Raises Refusal and
        other OnlookerErrors.
        """
        context = Context(
            self._config,
            self.searcher,
            open_buckets(self._config.serve.buckets),
            self.analyser,
        )
        found, body = REKOGNITION.operations[operation], msgspec.json.encode(fields)
        call = Call(REKOGNITION, found, (), body, None)
        if key is not None:
            limit_error = REKOGNITION.limit_error or context.settings.serve.validation_error
            request = call.form.decode(found.request, body, limit_error)
            authorise(key, REKOGNITION, found, request, context)
        result = handle(call, context, None)
        while isinstance(result, Pending):
            result = result.work()
        self._usage.count(operation)
        return result

    def close(self) -> None:
        self._usage.close()
        with self._lock:
            if self._searcher is not None:
                self._searcher.close()
                self._searcher = None
