"""Signs and captions: the events that tell what was to be read, and when.

A line is announced when it is real, updated when its voted reading changes, and ended when it is
gone.
"""

import re
from collections.abc import Iterable
from typing import Literal

import msgspec

from onlooker.track.line_tracker import LineTrack
from onlooker.types import Quad, Reading, TextLine

UPDATE_SECONDS = 1.0
"""Minimum time between two events of a line that is still there."""

State = Literal["new", "update", "end"]


class Best(msgspec.Struct, frozen=True):
    """The frame in which a line was the largest and surest."""

    record_id: str
    time: float
    quad: Quad
    weight: float


class Sign(msgspec.Struct):
    """The findings about one track beyond its readings."""

    best: Best
    frames: int = 0
    told_at: float | None = None
    """Time of the last event; None before the first."""
    told_text: str = ""


class Signs(msgspec.Struct):
    """The signs of one stream; part of the state that a snapshot holds.

    expect: a regular expression that a whole line must match to be told, after voting.
    """

    expect: str | None = None
    signs: dict[str, Sign] = {}
    """By the id of the track."""

    def see(
        self, record_id: str, time: float, found: Iterable[tuple[LineTrack, TextLine, float]]
    ) -> None:
        """Take note of the lines of one frame.

        Each comes with its height in pixels, which is 0 if it was not detected but its pixels are
        there.
        """
        for track, line, height in found:
            best = Best(record_id, time, line.quad, line.score * height)
            sign = self.signs.setdefault(track.id, Sign(best))
            sign.frames += 1
            if best.weight > sign.best.weight:
                sign.best = best

    def tell(self, stream: str, tracks: Iterable[LineTrack], time: float) -> list[Reading]:
        """Return the events that are due for the lines that are present at `time`."""
        events = []
        for track in sorted(tracks, key=lambda each: each.number):
            sign = self.signs.get(track.id)
            text = self.text(track)
            if sign is None or text is None or not track.real:
                continue
            if sign.told_at is None:
                events.append(self._tell(stream, track, sign, text, "new", time))
            elif text != sign.told_text and time - sign.told_at >= UPDATE_SECONDS:
                events.append(self._tell(stream, track, sign, text, "update", time))
        return events

    def end(self, stream: str, tracks: Iterable[LineTrack]) -> list[Reading]:
        """Remove lines that are over; return the last event of each that was told."""
        events = []
        for track in sorted(tracks, key=lambda each: each.number):
            sign = self.signs.pop(track.id, None)
            if sign is not None and sign.told_at is not None:
                text = self.text(track) or sign.told_text
                events.append(self._tell(stream, track, sign, text, "end", track.last))
        return events

    def text(self, track: LineTrack) -> str | None:
        """Return the voted reading of a line; None if it is not as expected."""
        if self.expect is None:
            return track.ballot.text
        return track.ballot.matching(re.compile(self.expect))

    def _tell(
        self, stream: str, track: LineTrack, sign: Sign, text: str, state: State, time: float
    ) -> Reading:
        sign.told_at, sign.told_text = time, text
        return Reading(
            id=track.id,
            state=state,
            stream=stream,
            number=track.number,
            start=track.first,
            end=track.last,
            text=text,
            score=track.score * track.ballot.agreement,
            runner_up=track.ballot.runner_up,
            frames=sign.frames,
            record_id=sign.best.record_id,
            time=sign.best.time,
            quad=sign.best.quad,
        )
