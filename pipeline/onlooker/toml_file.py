"""TOML files that people write: configuration, keys and cards.

Editors of Windows begin UTF-8 with a byte order mark, and its shell writes UTF-16.
"""

import codecs
import tomllib
from pathlib import Path
from typing import Any

from onlooker.errors import OnlookerError

MAX_BYTES = 4 << 20
"""Maximum bytes of a file: anything larger, or endless, was not written by people."""
UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class TomlError(OnlookerError):
    """A file is not TOML; the text says why, without the file's name."""


def read(path: Path) -> dict[str, Any]:
    """Return the table in a file. Raises TomlError, and OSError if it cannot be read."""
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise TomlError(f"more than {MAX_BYTES} bytes; name a file of settings")
    if data.startswith(UTF_16):
        raise TomlError("the text is UTF-16; save it as UTF-8")
    try:
        return tomllib.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise TomlError(f"line {line} is not UTF-8; save the file as UTF-8") from error
    except ValueError as error:  # TOMLDecodeError, and what int() says of thousands of digits
        raise TomlError(str(error)) from error
    except RecursionError as error:
        raise TomlError("too many brackets within each other") from error
