"""The server's log, one JSON object per entry."""

import json
import logging
import sys
from typing import Any

from onlooker.program_log import JsonFormatter


def entry(message: str, *values: object, **more: Any) -> dict[str, Any]:
    """Return the entry of a message at level INFO."""
    record = logging.LogRecord("onlooker.api", logging.INFO, "", 1, message, values, None)
    vars(record).update(more)
    line = JsonFormatter().format(record)
    assert "\n" not in line
    return dict(json.loads(line))


def test_an_entry_has_time_level_process_and_logger() -> None:
    found = entry("%s: %d", "ü", 7)
    assert found["message"] == "ü: 7"
    assert (found["level"], found["logger"]) == ("info", "onlooker.api")
    assert found["time"].endswith("+00:00")
    assert isinstance(found["process"], int)


def test_fields_become_members() -> None:
    found = entry("request", fields={"operation": "DetectFaces", "ms": 1.5})
    assert (found["operation"], found["ms"]) == ("DetectFaces", 1.5)


def test_an_exception_has_its_trace() -> None:
    try:
        raise ZeroDivisionError("as it must")
    except ZeroDivisionError:
        found = entry("a fault", exc_info=sys.exc_info())
    assert "ZeroDivisionError: as it must" in found["trace"]
