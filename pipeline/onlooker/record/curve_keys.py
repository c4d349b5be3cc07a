"""CURVE keys: who may subscribe to encrypted records, and from which publisher.

A key file holds a key pair. Its public key is given to others: the publisher's to every subscriber,
and each subscriber's to the publisher.
"""

import os
import re
import tomllib
from pathlib import Path

import msgspec
import zmq

from onlooker import durable_file
from onlooker.durable_file import Occupied
from onlooker.errors import OnlookerError

PUBLIC_KEY = r"^[0-9A-Za-z.\-:+=^!/*?&<>()\[\]{}@%$#]{40}$"
"""Form of a public key: 40 characters in ZeroMQ's encoding, Z85."""


class BadKey(OnlookerError):
    """A key cannot be used; the text says why and what to do."""


class KeyPair(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The two halves of a key, 40 characters each."""

    public: str
    secret: str


def generate(path: Path) -> KeyPair:
    """Write a new key pair to `path`, which only the user may read. Raises BadKey, Occupied."""
    public, secret = (half.decode() for half in zmq.curve_keypair())
    text = f"# Keep this file to yourself; tell others the public key.\npublic = '{public}'\n"
    try:
        with durable_file.replacing(path, overwrite=False) as part:
            file = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(file, "w") as opened:
                opened.write(f"{text}secret = '{secret}'\n")
    except Occupied:
        raise
    except OSError as error:
        raise BadKey(f"{path}: {error.strerror}") from error
    return KeyPair(public, secret)


def read(path: Path) -> KeyPair:
    """Return the key pair in the file at `path`. Raises BadKey."""
    try:
        pair = msgspec.convert(tomllib.loads(path.read_text()), KeyPair)
    except OSError as error:
        raise BadKey(
            f"{path}: {error.strerror}; `onlooker keys generate {path}` makes a key"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise BadKey(f"{path}: not a key file of `onlooker keys generate`") from error
    for half in (pair.public, pair.secret):
        check(half)
    if zmq.curve_public(pair.secret.encode()).decode() != pair.public:
        raise BadKey(f"{path}: its two halves do not belong together")
    return pair


def check(public: str) -> str:
    """Return `public`. Raises BadKey if it does not have the form of a public key."""
    if not re.match(PUBLIC_KEY, public):
        raise BadKey(
            f"{public!r} is no public key, which has 40 characters; `onlooker keys show FILE` "
            "prints one"
        )
    return public
