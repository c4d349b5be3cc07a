"""Onlooker looks at pictures and video and says who is in them and what is written there.

for record in onlooker.subscribe("tcp://127.0.0.1:5555", streams=["door"], since=0):
    print(record.FrameInformation.Time, record.TextDetections)
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onlooker.record.subscribe import subscribe

__all__ = ["subscribe"]


def __getattr__(name: str) -> Any:
    # Loaded when it is asked for: no process of the line needs it.
    if name == "subscribe":
        from onlooker.record.subscribe import subscribe

        return subscribe
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
