"""The log of a program on standard error: all of its processes write lines of one form.

`$ONLOOKER_LOG` is the lowest level that is written, `$ONLOOKER_LOG_FORM` says plain or json. In
JSON, a request's entry has its id, operation, user, result and times. Nothing of a request's body
is in any entry: no images, no vectors, no secrets.
"""

import logging
import os
import sys
from datetime import UTC, datetime

import msgspec

from onlooker.errors import OnlookerError

LEVEL, FORM = "ONLOOKER_LOG", "ONLOOKER_LOG_FORM"
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
FORMS = ("plain", "json")

_form = ""
"""The form of this process's log, once it has begun."""


class LogSettingError(OnlookerError):
    """A variable of the environment is none of the words that it may be."""


class JsonFormatter(logging.Formatter):
    """Formats log records as JSON; `extra={"fields": ...}` adds members.

    name: the name of the process, such as detect-0.1; empty for the program itself.
    """

    def __init__(self, name: str = "") -> None:
        super().__init__()
        self._name = {"name": name} if name else {}

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "process": record.process,
            **self._name,
            "logger": record.name,
            "message": record.getMessage(),
        }
        entry |= getattr(record, "fields", {})
        if record.exc_info:
            entry["trace"] = self.formatException(record.exc_info)
        return msgspec.json.encode(entry).decode()


def begin(name: str = "", *, form: str = "plain", level: str = "WARNING") -> None:
    """Write this process's log from now on, and that of its children in the same form.

    form, level: those that apply unless the environment says otherwise. Raises LogSettingError.
    """
    global _form
    _form = _word(FORM, form, FORMS)
    lowest = _word(LEVEL, level, LEVELS)
    handler = logging.StreamHandler(sys.stderr)
    if _form == "json":
        handler.setFormatter(JsonFormatter(name))
    else:
        prefix = f" {name}" if name else ""
        handler.setFormatter(logging.Formatter(f"%(asctime)s %(levelname)s{prefix} %(message)s"))
    logging.basicConfig(level=lowest, handlers=[handler])
    # At INFO it reports its own start and stop.
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)


def environment() -> dict[str, str]:
    """Return the variables by which a child writes a log of the same form."""
    return {FORM: _form} if _form else {}


def _word(variable: str, default: str, words: tuple[str, ...]) -> str:
    given = os.environ.get(variable) or default
    for word in words:
        if word.lower() == given.lower():
            return word
    raise LogSettingError(f"{variable} is {given!r}; it may be {', '.join(words)}")
