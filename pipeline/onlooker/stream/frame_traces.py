"""The trace of a frame's way: a span for each stage that had it, below one from source to log.

The trace's id is the RecordId, so all processes know it, and whether the frame is among those that
are traced, without telling each other.
"""

import hashlib
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import NamedTuple

from onlooker.config.telemetry import Telemetry
from onlooker.traces import Ids, Spans, open_spans
from onlooker.types import Frame

ROOT = "frame"
"""Name of the span from the source to the log."""
MAX_APART_NS = 1_000_000
"""Two clocks are read within so many nanoseconds."""


class Passage(NamedTuple):
    """A frame's time in a stage."""

    frame: Frame
    """As it came out."""
    error: str | None
    """Why the stage failed over it, or the frame before."""
    captured: float
    """As in messages.Offer."""


class FrameTraces:
    """The spans of one process, called `process`, for the stage or source called `stage`.

    analysis: returns the digest of what a frame is analysed with. last: whether a frame that has
    come through is in the log. share: of the frames that are traced.
    """

    def __init__(
        self,
        spans: Spans,
        share: float,
        stage: str,
        process: str,
        analysis: Callable[[Frame], str],
        *,
        last: bool = False,
    ) -> None:
        from onlooker.record.frame_record import record_id  # and with it much else

        self._record_id = record_id
        self._spans = spans
        self._share = share
        self._stage = stage
        self._process = process
        self._analysis = analysis
        self._last = last
        self._uncommitted: list[tuple[Passage, int]] = []

    def add(self, passages: Sequence[Passage], began: int, ended: int) -> None:
        """Take frames that were in the stage together, between these nanoseconds since 1970.

        Threads may call it at the same time.
        """
        for passage in passages:
            if (record := self._traced(passage.frame)) is None:
                continue
            if self._last:
                self._uncommitted.append((passage, began))
            else:
                self._send(self._stage, record, passage, (began, ended), len(passages))

    def commit(self) -> None:
        """Send the spans of the last stage: what it has taken is in the log now."""
        ended = time.time_ns()
        taken, self._uncommitted = self._uncommitted, []
        for passage, began in taken:
            record = self._record(passage.frame)
            self._send(self._stage, record, passage, (began, ended), 1)
            self._send(ROOT, record, passage, (epoch_ns(passage.captured), ended), 1)

    def _record(self, frame: Frame) -> uuid.UUID:
        analysis = self._analysis(frame)
        return uuid.UUID(self._record_id(frame.stream, frame.epoch, frame.index, analysis))

    def _traced(self, frame: Frame) -> uuid.UUID | None:
        """Return the RecordId; None if the frame is not traced."""
        record = self._record(frame)
        return record if record.int >> 96 < self._share * 2**32 else None

    def _send(
        self, name: str, record: uuid.UUID, passage: Passage, times: tuple[int, int], batch: int
    ) -> None:
        frame = passage.frame
        self._spans.add(
            name,
            Ids(record.int, span_id(record, name)),
            None if name == ROOT else span_id(record, ROOT),
            times,
            {
                "onlooker.record_id": str(record),
                "onlooker.stream": frame.stream,
                "onlooker.frame": frame.index,
                "onlooker.process": self._process,
                "onlooker.batch": batch,
                "onlooker.faces": len(frame.faces),
                "onlooker.lines": len(frame.lines) or len(frame.quads),
            },
            passage.error,
        )


def epoch_ns(moment: float) -> int:
    """Return the nanoseconds since 1970 of a moment on `time.monotonic`'s clock."""
    while True:
        before, now, after = time.monotonic_ns(), time.time_ns(), time.monotonic_ns()
        if after - before < MAX_APART_NS:  # nobody else ran in between
            return now - before + round(1e9 * moment)


def span_id(record: uuid.UUID, name: str) -> int:
    """Return the id, 64 bits, of the span of this name in a record's trace."""
    return int.from_bytes(hashlib.sha256(record.bytes + name.encode()).digest()[:8]) or 1


def open_traces(
    settings: Telemetry,
    stage: str,
    process: str,
    analysis: Callable[[Frame], str],
    closing: ExitStack,
    *,
    last: bool = False,
) -> FrameTraces | None:
    """Return the traces, closed with `closing`; None if frames are not traced.

    Raises TracesError.
    """
    spans = open_spans(settings.traces, process) if settings.frames else None
    if spans is None:
        return None
    closing.callback(spans.close)
    return FrameTraces(spans, settings.frames, stage, process, analysis, last=last)
