"""Onlooker recognises faces and reads text in images and video.

for record in onlooker.subscribe("tcp://127.0.0.1:5555", streams=["door"], since=0):
    print(record.FrameInformation.Time, record.TextDetections)
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onlooker.record.log.reader import read_log
    from onlooker.record.subscribe import subscribe

__all__ = ["read_log", "subscribe"]

_PLACES = {
    "read_log": ("onlooker.record.log.reader", "read_log"),
    "subscribe": ("onlooker.record.subscribe", "subscribe"),
}
"""Module and name of each public object. Imported on first use, since processes of a run need none
of them."""


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _PLACES[name]
    value = getattr(importlib.import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
