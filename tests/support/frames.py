"""Frames without a picture."""

from onlooker.types import Frame


def frame(stream: str, index: int, error: str | None = None) -> Frame:
    return Frame(
        stream=stream,
        epoch="e",
        index=index,
        pts=index,
        time_base=(1, 25),
        fragment=0,
        fragment_pts=0,
        started=0.0,
        width=2,
        height=2,
        error=error,
    )
