"""The streams that are to run: those of the configuration, those added to the table, and those of
stream processors, less those that are paused.
"""

import logging
from collections.abc import Callable, Mapping

from msgspec.structs import replace

from onlooker.config.schema import Config, SourceConfig
from onlooker.errors import OnlookerError
from onlooker.stream import processors
from onlooker.stream.processors import BadProcessor, Processor
from onlooker.stream.stream_table import StreamTable

logger = logging.getLogger(__name__)


class WantedStreams:
    """A configuration whose streams are those that are to run; call it to load it.

    load: returns the configuration file's; what it raises is passed on. check: raises OnlookerError
    if a stream cannot be analysed as its source asks for, such as in a collection that is not
    there.
    """

    def __init__(
        self,
        load: Callable[[], Config],
        table: StreamTable,
        check: Callable[[Config, SourceConfig], None],
    ) -> None:
        self._load = load
        self.table = table
        self._check = check
        self._of_file: set[str] = set()
        self.failed: dict[str, str] = {}
        """Why processors cannot run, by their names, as of the last call."""
        self.troubles: dict[str, str] = {}
        """Why added streams cannot run, by name, as of the last call."""

    def __call__(self) -> Config:
        config = self._load()
        self.failed, self.troubles = {}, {}
        sources = dict(config.streams)
        self._of_file = {name for name, source in sources.items() if source.enabled}
        for name, source in self.table.added().items():
            if name in sources:
                self.troubles[name] = "the configuration file has a stream of this name"
                continue
            try:
                self._check(config, source)
            except OnlookerError as error:
                self.troubles[name] = str(error)
                logger.error("stream not started stream=%s error=%s", name, error)
                continue
            sources[name] = source
        wanted = {name: source for name, source in sources.items() if source.enabled}
        for processor in processors.stored(self.table):
            if processor.wanted:
                try:
                    wanted[processor.stream] = self._source(processor, sources, config)
                except OnlookerError as error:
                    self.failed[processor.name] = str(error)
        for name in self.table.paused():
            wanted.pop(name, None)
        return replace(config, streams=wanted)

    def of_file(self, wanted: Mapping[str, SourceConfig]) -> dict[str, SourceConfig]:
        """Return those of the wanted streams that the file has run by themselves."""
        return {name: source for name, source in wanted.items() if name in self._of_file}

    def _source(
        self, processor: Processor, sources: dict[str, SourceConfig], config: Config
    ) -> SourceConfig:
        """Return the source of a processor, to be analysed as it asks for. Raises OnlookerError."""
        source = processor.source() or sources.get(processor.stream)
        if source is None:
            raise BadProcessor(
                f"Stream {processor.stream} doesn't exist. Write [streams.{processor.stream}] into "
                "the configuration, or give the processor the tag onlooker:url"
            )
        applied = processor.applied(source)
        self._check(config, applied)
        return applied
