"""The settings of the console's process: one line on its standard input."""

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

    def pack(self) -> bytes:
        """Return the line for the process."""
        return msgspec.json.encode(self, enc_hook=str) + b"\n"

    @classmethod
    def unpack(cls, line: bytes) -> "ConsoleSettings":
        """Return the settings in a line."""
        return msgspec.json.decode(line, type=cls, dec_hook=lambda kind, text: kind(text))
