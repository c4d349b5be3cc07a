"""The base of all sections of the configuration file, and the kinds of their values."""

from typing import Annotated

import msgspec
from msgspec import Meta

from onlooker.errors import OnlookerError

Ratio = Annotated[float, Meta(ge=0, le=1)]
Percent = Annotated[float, Meta(ge=0, le=100)]
Count = Annotated[int, Meta(ge=0)]
Seconds = Annotated[float, Meta(gt=0)]
Megabytes = Annotated[float, Meta(ge=0)]
Side = Annotated[int, Meta(ge=64, le=4096)]
Pattern = Annotated[str, Meta(min_length=1, max_length=1000)]
"""A regular expression."""


class ConfigError(OnlookerError, ValueError):
    """The configuration cannot be used; the text says why and what to do."""


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The base of all sections of the file."""
