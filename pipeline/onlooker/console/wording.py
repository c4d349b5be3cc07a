"""Times, counts and states as the pages word them."""

import math
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, tzinfo
from typing import Any
from urllib.parse import unquote
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from onlooker.escape import PEOPLE, STREAMS
from onlooker.stream.messages import StreamStatus

MAX_VIDEO_SECONDS = 10**8
"""Times up to this are seconds of a video; later ones are seconds since 1970."""
MAX_ZONE_LENGTH = 60

DROPS = {
    "superseded": "a newer frame came while it waited",
    "stale": "it came too late from the camera",
    "shed": "there was no room for it",
    "restarted": "its source was restarted",
}
"""Why a frame was dropped."""
FAILURES = {
    "undecodable": "it could not be decoded",
    "lost": "the camera had sent no image for a while",
    "poisoned": "workers died over it",
    "error": "the analysis failed",
}
"""Why a frame failed."""
LOADING = "the models are being loaded; a camera's images are analysed from then on"


def zone(name: str | None) -> tzinfo:
    """Return the time zone of that name; the machine's own if there is none."""
    if name and len(name) <= MAX_ZONE_LENGTH:
        with suppress(ZoneInfoNotFoundError, ValueError, OSError):
            return ZoneInfo(unquote(name))
    return datetime.now(UTC).astimezone().tzinfo or UTC


def clock(seconds: float, where: tzinfo) -> str:
    """Return a time: of a video as h:mm:ss.t, and one since 1970 as date and time."""
    if seconds < MAX_VIDEO_SECONDS:
        minutes, rest = divmod(max(0.0, seconds), 60)
        hours, minutes = divmod(int(minutes), 60)
        return f"{hours}:{minutes:02d}:{rest:04.1f}"
    return datetime.fromtimestamp(seconds, where).strftime("%-d %b %Y, %H:%M:%S")


def time_of_day(seconds: float, where: tzinfo) -> str:
    """Return the time alone, for the end of what began on the same day."""
    if seconds < MAX_VIDEO_SECONDS:
        return clock(seconds, where)
    return datetime.fromtimestamp(seconds, where).strftime("%H:%M:%S")


def duration(seconds: float) -> str:
    """Return a length of time, such as "1 h 4 min" or "12 s"."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def moment(text: str, where: tzinfo) -> float | None:
    """Return the epoch seconds of a date and time as a browser's field has it, or None."""
    try:
        return datetime.fromisoformat(text).replace(tzinfo=where).timestamp()
    except (ValueError, OverflowError):
        return None


def number(value: int) -> str:
    """Return a number with thin spaces between its thousands."""
    return f"{value:,}".replace(",", "\u202f")


def percent(value: float) -> str:
    """Return a similarity or confidence; never 100 if it is less."""
    return f"{math.floor(value * 10) / 10:.1f}"


def person(written: str | None) -> str:
    """Return a person's name as people read it."""
    return "" if written is None else PEOPLE.shown(written)


def stream(written: str) -> str:
    """Return a stream's name as people read it."""
    return STREAMS.shown(written)


def health(status: StreamStatus | None, loading: bool = False) -> tuple[str, str]:
    """Return how a stream is: "good", "bad", "over" or "starting", and in words.

    status: None if the hub does not know it yet. loading: whether no worker is ready.
    """
    if status is None:
        return "starting", "starting"
    if status.finished:
        return ("bad", f"ended early: {status.error}") if status.error else ("over", "ended")
    if status.health:
        return "bad", status.health
    if loading:
        return "starting", LOADING
    return "good", "well"


def causes(counts: Mapping[Any, int], words: Mapping[str, str]) -> list[tuple[int, str]]:
    """Return counts with their causes in words."""
    return [(count, words.get(str(cause), str(cause))) for cause, count in counts.items() if count]
