"""Sessions of browsers: who has signed in, in a cookie that only this program can have made.

A session is a signed text, not a row of a table: it survives a restart of the program, and ends
with its time or with its key, whose secret is part of the signature. Those that were signed out
before their time are listed in a file. If no keys are configured, everybody has a session of
nobody's, which only protects from other web pages.
"""

import hashlib
import hmac
import logging
import os
import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from onlooker import durable_file
from onlooker.api.access_keys import Key
from onlooker.config import paths

NOBODY = "-"
"""In place of a key's id if no keys are configured."""
SECRET_BYTES = 32
MAX_COOKIE_LENGTH = 400

logger = logging.getLogger(__name__)


class Session(NamedTuple):
    """A browser that may see the console."""

    cookie: str
    key: Key | None
    """None if no keys are configured: then everything is allowed."""
    expires: float
    """Epoch seconds."""
    csrf: str
    """Token that each change has to bring, so that no other web page can make one."""

    def allows(self, action: str) -> bool:
        """Return whether its user may do this, such as "console:View"."""
        return self.key is None or self.key.allows(action)

    @property
    def user(self) -> str | None:
        """The name of its user; None if no keys are configured."""
        return None if self.key is None else self.key.user


class Sessions:
    """Makes and reads the cookies of sessions."""

    def __init__(
        self,
        keys: Mapping[str, Key] | None,
        secret: bytes,
        seconds: float,
        signed_out: Path | None = None,
    ) -> None:
        """signed_out: file of the sessions that were signed out; None keeps them in memory alone.

        Raises OSError if it cannot be read.
        """
        self._keys = keys
        self._secret = secret
        self.seconds = seconds
        self._signed_out_file = signed_out
        self._signed_out: set[str] = set()
        """Cookies without their signatures."""
        if signed_out is not None and signed_out.exists():
            self._signed_out.update(signed_out.read_text("utf-8").split())

    @property
    def open(self) -> bool:
        """Whether no keys are configured."""
        return self._keys is None

    def sign_in(self, id: str, secret: str) -> Session | None:
        """Return a new session for a key's id and secret; None if they are not a key's."""
        key = (self._keys or {}).get(id)
        known = "" if key is None else key.secret
        same = hmac.compare_digest(secret.encode(), known.encode())
        return self.new(key) if key is not None and same else None

    def new(self, key: Key | None) -> Session:
        """Return a new session; `key` is None if no keys are configured."""
        expires = int(time.time() + self.seconds)
        id = NOBODY if key is None else key.id
        text = f"{id}.{expires}.{secrets.token_hex(16)}"
        return self._session(f"{text}.{self._mac(key, text)}", key, expires)

    def read(self, cookie: str) -> Session | None:
        """Return the session of a cookie; None if it is none, is over, or its key has gone."""
        text, _, mac = cookie[:MAX_COOKIE_LENGTH].rpartition(".")
        id, _, rest = text.partition(".")
        expires = rest.partition(".")[0]
        key = None if self._keys is None else self._keys.get(id)
        if (key is None) != self.open or (key is None and id != NOBODY):
            return None
        if not hmac.compare_digest(mac.encode(), self._mac(key, text).encode()):
            return None
        if float(expires) < time.time() or text in self._signed_out:
            return None
        return self._session(cookie, key, float(expires))

    def sign_out(self, session: Session) -> None:
        """End a session, whoever still has its cookie."""
        now = time.time()
        texts = {session.cookie.rpartition(".")[0], *self._signed_out}
        self._signed_out = {each for each in texts if float(each.split(".")[1]) >= now}
        if (path := self._signed_out_file) is None:
            return
        try:
            with durable_file.replacing(path) as part:
                part.write_text("".join(f"{each}\n" for each in self._signed_out), "utf-8")
        except OSError as error:  # it has ended all the same, until the program is restarted
            logger.error("signed-out session not kept path=%s cause=%s", path, error)

    def _session(self, cookie: str, key: Key | None, expires: float) -> Session:
        return Session(cookie, key, expires, self._mac(key, f"csrf {cookie}"))

    def _mac(self, key: Key | None, text: str) -> str:
        secret = self._secret + (b"" if key is None else key.secret.encode())
        return hmac.digest(secret, text.encode(), hashlib.sha256).hex()


def secret(folder: Path | None = None) -> bytes:
    """Return the secret that cookies are signed with, made on first use. Raises OSError.

    folder: where it is kept; None means the user's own.
    """
    path = (folder or paths.data_folder()) / "console.secret"
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or len(path.read_bytes()) != SECRET_BYTES:
        with durable_file.replacing(path) as part:
            file = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(file, "wb") as made:
                made.write(secrets.token_bytes(SECRET_BYTES))
    return path.read_bytes()


def signed_out_path() -> Path:
    """Return the user's own file of the sessions that were signed out."""
    return paths.data_folder() / "console.signed-out"
