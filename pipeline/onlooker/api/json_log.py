"""The server's log: one JSON object per entry, on standard error.

A request's entry has its id, operation, user, result and times. Nothing of a request's body is in
any entry: no images, no vectors, no secrets.
"""

import logging
import sys
from datetime import UTC, datetime

import msgspec


class JsonFormatter(logging.Formatter):
    """Formats log records as JSON; `extra={"fields": ...}` adds members."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "process": record.process,
            "logger": record.name,
            "message": record.getMessage(),
        }
        entry |= getattr(record, "fields", {})
        if record.exc_info:
            entry["trace"] = self.formatException(record.exc_info)
        return msgspec.json.encode(entry).decode()


def begin() -> None:
    """Write this process's log from now on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    # At INFO it reports its own start and stop.
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
