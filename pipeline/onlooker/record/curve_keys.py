"""CURVE keys: who may subscribe to encrypted records or work for a run, and for whom.

A key file holds a key pair. Its public key is given to others: the server's to every client, and
each client's to the server.
"""

import logging
import os
import re
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import zmq

from onlooker import durable_file, toml_file
from onlooker.durable_file import Occupied
from onlooker.errors import OnlookerError
from onlooker.toml_file import TomlError

if TYPE_CHECKING:
    from zmq.auth.thread import ThreadAuthenticator

PUBLIC_KEY = r"[0-9A-Za-z.\-:+=^!/*?&<>()\[\]{}@%$#]{40}"
"""Form of a public key: 40 characters in ZeroMQ's encoding, Z85."""

logger = logging.getLogger(__name__)


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
        pair = msgspec.convert(toml_file.read(path), KeyPair)
    except OSError as error:
        raise BadKey(
            f"{path}: {error.strerror}; `onlooker keys generate {path}` makes a key"
        ) from error
    except (TomlError, msgspec.ValidationError) as error:
        raise BadKey(f"{path}: not a key file of `onlooker keys generate`") from error
    if not all(re.fullmatch(PUBLIC_KEY, half) for half in (pair.public, pair.secret)):
        # A part of the secret key may be in it: nothing of the file is shown.
        raise BadKey(f"{path}: not a key file of `onlooker keys generate`")
    if zmq.curve_public(pair.secret.encode()).decode() != pair.public:
        raise BadKey(f"{path}: its two halves do not belong together")
    return pair


def check(public: str) -> str:
    """Return `public`. Raises BadKey if it does not have the form of a public key."""
    if not re.fullmatch(PUBLIC_KEY, public):
        raise BadKey(
            f"{public!r} is no public key, which has 40 characters; `onlooker keys show FILE` "
            "prints one"
        )
    return public


def admit(
    context: "zmq.Context[zmq.Socket[bytes]]",
    socket: "zmq.Socket[bytes]",
    keys: KeyPair,
    clients: Collection[str],
    section: str,
) -> "ThreadAuthenticator":
    """Have a server's socket, before it is bound, admit only the owners of keys in `clients`.

    section: that of the configuration which names them. Returns the thread that decides; stop it
    after the socket is closed.
    """
    from zmq.auth.thread import ThreadAuthenticator

    class Known:
        def callback(self, domain: str, key: bytes) -> bool:
            if key.decode() in clients:
                return True
            logger.warning("peer refused: its key is none of [%s] clients", section)
            return False

    socket.curve_server = 1
    socket.curve_secretkey = keys.secret.encode()
    socket.zap_domain = b"onlooker"
    guard = ThreadAuthenticator(context)
    guard.start()
    guard.configure_curve_callback("onlooker", Known())
    return guard


def present(socket: "zmq.Socket[bytes]", keys: KeyPair, server: str) -> None:
    """Have a client's socket, before it is connected, prove that it is the owner of `keys`.

    server: public key of the only server that it accepts. Raises BadKey.
    """
    socket.curve_serverkey = check(server).encode()
    socket.curve_publickey = keys.public.encode()
    socket.curve_secretkey = keys.secret.encode()
