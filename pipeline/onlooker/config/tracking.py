"""Settings of people and lines over time."""

from typing import Annotated

from msgspec import Meta

from onlooker.config.section import Pattern, Section


class Tracks(Section, frozen=True, kw_only=True):
    """`[tracks]`: people and lines over time. All times are seconds of the video."""

    enabled: bool = True
    """Follow faces and lines over time."""
    confirm: Annotated[float, Meta(ge=0)] = 0.5
    """Seconds for which a face must be there before it counts as an appearance; twice as long if it
    is so small and blurred that it may be none."""
    absence: Annotated[float, Meta(gt=0)] = 10.0
    """Seconds without the person after which an appearance has ended. Who comes back sooner
    continues it."""
    expect: Pattern | None = None
    """As in `[streams.NAME]`, for all streams."""
    cooldown: Annotated[float, Meta(ge=0)] = 0.0
    """Seconds after an appearance in which another one of the same person is not published."""


class People(Section, frozen=True, kw_only=True):
    """`[people]`: ids for people whom the collection of `[match]` does not know."""

    enabled: bool = False
    """Keep the vectors of unknown people, so that they are known when they come again."""
