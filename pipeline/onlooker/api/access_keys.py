"""Who may do what: the file of keys that `[serve] keys` names.

    [[key]]
    id = "ONLOOKERKIOSK"              # AWS_ACCESS_KEY_ID
    secret = "..."                    # AWS_SECRET_ACCESS_KEY, 16 characters at least
    user = "kiosk"                    # what logs and errors call it
    operations = ["Detect*", "SearchFacesByImage"]
    collections = ["staff"]
    buckets = ["photos"]

Without `operations` a key may do everything, without `collections` in every collection, without
`buckets` with pictures of every bucket that the server reads; all may have `*` and `?`.
"""

import stat
import tomllib
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from onlooker.config.schema import ConfigError, Section

ANYBODY = "anybody"
"""Who asks where no keys are configured."""


class Key(Section, frozen=True, kw_only=True):
    """A pair of access key and secret, and what its holder may do."""

    id: Annotated[str, Meta(pattern=r"^\w{3,128}$")]
    secret: Annotated[str, Meta(min_length=16)]
    user: Annotated[str, Meta(pattern=r"^[\w+=,.@-]{1,64}$")]
    token: Annotated[str, Meta(min_length=1)] | None = None
    """Session token that must come along, if any."""
    operations: tuple[str, ...] = ("*",)
    collections: tuple[str, ...] = ("*",)
    buckets: tuple[str, ...] = ("*",)

    def may(self, operation: str, collection: str | None) -> bool:
        """Whether its holder may do this, in this collection if the operation is about one."""
        return _matches(operation, self.operations) and (
            collection is None or self.sees(collection)
        )

    def sees(self, collection: str) -> bool:
        """Whether its holder may know of a collection."""
        return _matches(collection, self.collections)

    def reads(self, bucket: str) -> bool:
        """Whether its holder may have pictures of a bucket looked at."""
        return _matches(bucket, self.buckets)


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


class KeyFile(Section, frozen=True, kw_only=True):
    """The whole file."""

    key: Annotated[tuple[Key, ...], Meta(min_length=1)]


def load(path: Path, operations: Sequence[str]) -> Mapping[str, Key]:
    """The keys of a file by their ids; ConfigError where it cannot be used.

    `operations` are those that there are: a pattern that fits none of them is a mistake.
    """
    try:
        text = path.read_text(encoding="utf-8")
        mode = path.stat().st_mode
        keys = msgspec.convert(tomllib.loads(text), KeyFile).key
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: the keys cannot be read: {error}") from error
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path}: {error}") from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigError(f"{path}: others can read the secrets; run `chmod 600 {path}`")
    for key in keys:
        for pattern in key.operations:
            if not any(fnmatchcase(name, pattern) for name in operations):
                known = ", ".join(operations)
                raise ConfigError(
                    f"{path}: {pattern!r} of {key.user} fits no operation; there are {known}"
                )
    found = {key.id: key for key in keys}
    if len(found) < len(keys):
        raise ConfigError(f"{path}: an id is there twice")
    return found
