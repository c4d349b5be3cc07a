"""The webhook: messages as lines of JSON, in POST requests to a URL."""

import hashlib
import hmac
import ssl
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Sequence
from http import HTTPStatus
from http.client import HTTPException
from typing import Any

from onlooker.config.sinks import SinkConfig
from onlooker.media.url import redacted
from onlooker.record.destinations.destination import NotTaken, TooLarge, secret
from onlooker.record.destinations.message import Message

MAX_ANSWER_BYTES = 1000
"""Bytes of an answer that an error shows."""


class Webhook:
    """A destination. Any 2xx answer means that the whole request was taken.

    The request's id is the same if the same messages come again, and names the first and the last
    of them. Redirects are not followed: messages go to the URL that was configured.
    """

    def __init__(self, config: SinkConfig) -> None:
        assert config.url is not None
        self._url = config.url
        self._timeout = config.timeout
        self._key = secret(config.signing_key)
        self._headers = {"Content-Type": "application/x-ndjson"}
        if (word := secret(config.secret, header=not config.user)) is not None:
            pair = b64encode(f"{config.user}:{word}".encode()).decode()
            self._headers["Authorization"] = f"Basic {pair}" if config.user else f"Bearer {word}"
        handlers: list[urllib.request.BaseHandler] = [_NoRedirects()]
        if config.url.startswith("https:"):
            try:
                context = ssl.create_default_context(cafile=config.ca)
            except OSError as error:  # ssl.SSLError is one
                raise NotTaken(f"{config.ca}: {type(error).__name__}: {error}") from error
            handlers.append(urllib.request.HTTPSHandler(context=context))
        self._opener = urllib.request.build_opener(*handlers)

    def send(self, messages: Sequence[Message], taken: Callable[[int], None]) -> None:
        body = b"".join(message.line() for message in messages)
        headers = {**self._headers, "x-onlooker-batch": f"{messages[0].id}-{messages[-1].id}"}
        if self._key is not None:
            headers["x-onlooker-signature"] = signature(self._key.encode(), body)
        request = urllib.request.Request(self._url, body, headers, method="POST")
        try:
            with self._opener.open(request, timeout=self._timeout) as response:
                response.read(MAX_ANSWER_BYTES)
        except urllib.error.HTTPError as error:
            with error:
                self._refused(error, messages, taken)
            return
        except HTTPException as error:  # what answers does not speak HTTP
            text = f"{type(error).__name__}: {error}"
            raise NotTaken(f"{redacted(self._url)}: {text}") from error
        except (OSError, ValueError) as error:
            cause = getattr(error, "reason", None) or error
            raise NotTaken(f"{redacted(self._url)}: {cause}") from error
        taken(len(messages))

    def _refused(
        self,
        error: urllib.error.HTTPError,
        messages: Sequence[Message],
        taken: Callable[[int], None],
    ) -> None:
        if error.code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            if len(messages) == 1:
                raise TooLarge(f"{redacted(self._url)}: the message alone is too large")
            half = len(messages) // 2
            self.send(messages[:half], taken)
            self.send(messages[half:], lambda number: taken(half + number))
            return
        try:
            said = error.read(MAX_ANSWER_BYTES).decode("utf-8", "replace").strip()
        except (OSError, HTTPException):
            said = ""
        text = f"answered {error.code} {error.reason}"
        raise NotTaken(f"{redacted(self._url)}: {text}{f': {said}' if said else ''}")

    def close(self) -> None:
        self._opener.close()


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def signature(key: bytes, body: bytes) -> str:
    """Return the header by which a receiver knows that the sender has the key (HMAC, RFC 2104)."""
    return f"sha256={hmac.digest(key, body, hashlib.sha256).hex()}"
