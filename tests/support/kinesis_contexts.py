"""The context of Kinesis' operations in the test's own process."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from onlooker.api.kinesis.kinesis_context import KinesisContext
from onlooker.config.schema import Config
from onlooker.stream.stream_table import StreamTable


@contextmanager
def kinesis_context(folder: Path, settings: Config | None = None) -> Iterator[KinesisContext]:
    """Yield a context over the log `folder`/r.db, which may not exist."""
    with StreamTable(folder / "streams.db") as table:
        context = KinesisContext(settings or Config(), folder / "r.db", table)
        try:
            yield context
        finally:
            context.close()
