"""Frames without an image."""

from typing import Any

from msgspec.structs import replace

from onlooker.types import Frame

BLANK = Frame(
    stream="door",
    epoch="e",
    index=0,
    pts=0,
    time_base=(1, 25),
    fragment=0,
    fragment_pts=0,
    started=0.0,
    width=2,
    height=2,
)


def frame(stream: str, index: int, error: str | None = None, **more: Any) -> Frame:
    """Return a frame of 25 frames per second; `more` are fields of Frame."""
    return replace(
        BLANK, **{"pts": index, **more, "stream": stream, "index": index, "error": error}
    )
