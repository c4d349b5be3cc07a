"""The settings of the console's process."""

from pathlib import Path

import msgspec

from onlooker.config.schema import Config


class ConsoleSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the process must know."""

    config: Config
    store: Path
    """File of the collections."""
    log: Path
    """The log of records, which may not exist yet."""
    address: tuple[str, int]
    """Host and port to listen on, which the program has reserved."""
