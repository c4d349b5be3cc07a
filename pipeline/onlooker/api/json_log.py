"""The log of the server: one JSON object a line, on standard error.

A request's line has its id, operation, user, result and times. Pictures, vectors and secrets are
in none: nothing of a request's body is.
"""

import logging
import sys
from datetime import UTC, datetime

import msgspec


class Lines(logging.Formatter):
    """Records as JSON."""

    def format(self, record: logging.LogRecord) -> str:
        told: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "process": record.process,
            "logger": record.name,
            "message": record.getMessage(),
        }
        told |= getattr(record, "told", {})
        if record.exc_info:
            told["trace"] = self.formatException(record.exc_info)
        return msgspec.json.encode(told).decode()


def begin() -> None:
    """Write this process's log."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Lines())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    # What it says at INFO is about its own start and stop.
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
