"""Access keys and their permissions: the file that `[serve] keys` names.

    [[key]]
    id = "ONLOOKERKIOSK"              # AWS_ACCESS_KEY_ID
    secret = "..."                    # AWS_SECRET_ACCESS_KEY, at least 16 characters
    user = "kiosk"                    # the holder's name in logs and errors
    operations = ["Detect*", "rekognition:SearchFacesByImage"]
    collections = ["staff"]
    buckets = ["photos"]
    queues = ["done"]
    streams = ["door", "results"]
    processors = ["door-*"]

A key without `operations` may use all operations, without `collections` all collections, without
`buckets` images and videos in all buckets that the server reads, without `queues` all queues,
without `streams` all video and data streams, without `processors` all stream processors. All of
them may have `*` and `?`. An operation
with its service before it is meant in this service only.
"""

import stat
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from onlooker import toml_file
from onlooker.config.section import ConfigError, Section
from onlooker.toml_file import TomlError

ANYBODY = "anybody"
"""The user's name if no keys are configured."""

CONSOLE_ACTIONS = ("console:View", "console:ChangeStreams", "console:ChangePeople")
"""What the holder of a key may do in the console, beside the operations of the services."""

ResourceKind = Literal["collection", "bucket", "queue", "stream", "processor"]
"""What a key may be restricted to."""


class Key(Section, frozen=True, kw_only=True):
    """A pair of access key and secret, and what its holder may do."""

    id: Annotated[str, Meta(pattern=r"^\w{3,128}$")]
    secret: Annotated[str, Meta(min_length=16)]
    user: Annotated[str, Meta(pattern=r"^[\w+=,.@-]{1,64}$")]
    token: Annotated[str, Meta(min_length=1)] | None = None
    """Session token that requests must bring; None means that they bring none."""
    operations: tuple[str, ...] = ("*",)
    collections: tuple[str, ...] = ("*",)
    buckets: tuple[str, ...] = ("*",)
    queues: tuple[str, ...] = ("*",)
    streams: tuple[str, ...] = ("*",)
    processors: tuple[str, ...] = ("*",)

    def allows(self, action: str) -> bool:
        """Return whether its holder may do this, such as "rekognition:DetectFaces"."""
        return any(_names(pattern, action) for pattern in self.operations)

    def reaches(self, kind: ResourceKind, name: str) -> bool:
        """Return whether its holder may use this collection, bucket or the like, and know of it."""
        patterns = {
            "collection": self.collections,
            "bucket": self.buckets,
            "queue": self.queues,
            "stream": self.streams,
            "processor": self.processors,
        }
        return any(fnmatchcase(name, pattern) for pattern in patterns[kind])


def _names(pattern: str, action: str) -> bool:
    """Return whether a pattern names an action, by its whole name or without its service."""
    return fnmatchcase(action if ":" in pattern else action.partition(":")[2], pattern)


class KeyFile(Section, frozen=True, kw_only=True):
    """The whole file."""

    key: Annotated[tuple[Key, ...], Meta(min_length=1)]


def load(path: Path, actions: Sequence[str]) -> Mapping[str, Key]:
    """Return the keys of a file by their ids. Raises ConfigError if it cannot be used.

    `actions` are all that exist: a pattern that fits none of them is a mistake.
    """
    try:
        mode = path.stat().st_mode
        keys = msgspec.convert(toml_file.read(path), KeyFile).key
    except (OSError, TomlError) as error:
        raise ConfigError(f"{path}: the keys cannot be read: {error}") from error
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path}: {error}") from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigError(f"{path}: others can read the secrets; run `chmod 600 {path}`")
    for key in keys:
        for pattern in key.operations:
            if not any(_names(pattern, action) for action in actions):
                raise ConfigError(
                    f"{path}: {pattern!r} of {key.user} fits no operation; "
                    f"there are {', '.join(actions)}"
                )
    by_id = {key.id: key for key in keys}
    if len(by_id) < len(keys):
        raise ConfigError(f"{path}: two keys have the same id; give each its own")
    return by_id
