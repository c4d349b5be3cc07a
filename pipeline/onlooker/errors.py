"""The root of every expected error."""

import re


def printable(text: str) -> str:
    """Return the text with an escape, such as \\xe9, for each byte of a name that is not UTF-8.

    Python keeps such bytes as lone surrogates, which neither JSON nor msgpack takes.
    """
    return re.sub(r"[\ud800-\udfff]", _escape, text)


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"


class OnlookerError(Exception):
    """An error that the user can do something about; the text says what happened and what to do.

    Anything else that is raised is a defect of Onlooker's own.
    """

    def __init__(self, *args: object) -> None:
        super().__init__(*(printable(arg) if isinstance(arg, str) else arg for arg in args))
