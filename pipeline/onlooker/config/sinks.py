"""Settings of sinks: programs and services beyond this machine that records are sent to."""

import re
from fnmatch import fnmatchcase
from typing import Annotated, Literal, get_args
from urllib.parse import urlsplit

from msgspec import Meta

from onlooker.config.section import ConfigError, Seconds, Section

SinkKind = Literal["nats", "webhook", "mqtt", "kinesis", "kafka"]
Content = Literal["records", "appearances", "readings"]
CONTENTS: tuple[Content, ...] = get_args(Content)
EVENTS: tuple[Content, ...] = ("appearances", "readings")

SINK_NAME = r"^[A-Za-z0-9_\-]{1,64}$"
SinkName = Annotated[str, Meta(pattern=SINK_NAME)]

SCHEMES: dict[SinkKind, tuple[str, ...]] = {
    "nats": ("nats", "tls"),
    "webhook": ("http", "https"),
    "mqtt": ("mqtt", "mqtts"),
    "kinesis": ("http", "https"),
    "kafka": ("kafka", "kafkas"),
}
TOPICS: dict[SinkKind, tuple[str, str]] = {
    "nats": (
        r"[^\s.*>]+(\.[^\s.*>]+)*",
        "a subject has parts between dots, without spaces, * and >",
    ),
    "mqtt": (r"[^+#\0]+", "a topic has no + and no #, which are for subscribers"),
    "kafka": (r"[A-Za-z0-9._\-]{1,249}", "a topic has letters, digits, dots, hyphens, underscores"),
    "kinesis": (
        r"[A-Za-z0-9._\-]{1,128}",
        "a stream has letters, digits, dots, hyphens, underscores",
    ),
}
"""What may be a topic, as a regular expression and in words."""
SECRET = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*|file:.+")


class SinkConfig(Section, frozen=True, kw_only=True):
    """`[sinks.NAME]`: a destination of records and events, which follows the log."""

    kind: SinkKind
    """Protocol of the destination."""
    url: str | None = None
    """Server: nats://, tls://, http://, https://, mqtt://, mqtts://, kafka:// or kafkas://. Only
    "kinesis" needs none: then it is Amazon's, in the region of the AWS settings."""
    topic: str | None = None
    """Subject (nats) or topic (mqtt) before the stream's name, and name of the topic (kafka) or of
    the data stream (kinesis). None means "onlooker"."""
    streams: tuple[str, ...] = ("*",)
    """Streams that are sent; * stands for any characters."""
    send: tuple[Content, ...] | None = None
    """Any of records, appearances and readings. None means all, and for "mqtt" the events only."""
    start: Literal["now", "beginning"] = "now"
    """Start in a log that has records when the sink runs for the first time."""
    user: str | None = None
    """Name to sign in with; None means that there is none."""
    secret: str | None = None
    """"env:NAME" or "file:PATH" of a password; without `user` it is a token."""
    signing_key: str | None = None
    """"env:NAME" or "file:PATH" of the secret by which a webhook's requests are signed."""
    ca: str | None = None
    """File with the certificate authority of the server; None means the system's."""
    batch: Annotated[int, Meta(ge=1, le=500)] = 100
    """Maximum messages of one request (webhook, kinesis), or between two waits for answers."""
    timeout: Seconds = 10.0
    """Seconds after which an answer is not waited for any more."""
    discovery: str = "homeassistant"
    """Prefix of the topics by which Home Assistant discovers sensors ("mqtt"); "" means none."""

    def __post_init__(self) -> None:
        if self.url is not None:
            several = self.kind in ("kafka", "nats")
            for number, url in enumerate(self.url.split(",") if several else [self.url]):
                # The first one's scheme is that of the others.
                self._check_url(url if not number or "://" in url else f"{self.kind}://{url}")
        elif self.kind != "kinesis":
            raise ConfigError(f"url: a sink of kind {self.kind} needs one")
        for name, given in (("secret", self.secret), ("signing_key", self.signing_key)):
            if given is not None and not SECRET.fullmatch(given):
                # Not shown: it may be the secret itself.
                raise ConfigError(f'{name}: write where it is: "env:NAME" or "file:PATH"')
        if self.user is not None and self.secret is None:
            raise ConfigError('user: it needs secret = "env:NAME" or "file:PATH"')
        if self.signing_key is not None and self.kind != "webhook":
            raise ConfigError("signing_key: only webhooks are signed")
        if self.kind == "mqtt" and "records" in self.contents:
            raise ConfigError('send: an "mqtt" sink takes events: appearances and readings')
        for name in ("topic", "discovery"):
            given, (form, words) = getattr(self, name), TOPICS.get(self.kind, (".*", ""))
            if given and not re.fullmatch(form, given):
                raise ConfigError(f"{name}: {given!r}: {words}")
        if not self.contents or not self.streams:
            raise ConfigError("send and streams: an empty list sends nothing; remove the sink")

    def _check_url(self, url: str) -> None:
        # None of these texts has the URL: it may contain a password.
        try:
            parts = urlsplit(url)
            known = parts.scheme in SCHEMES[self.kind] and bool(parts.hostname)
            parts.port  # noqa: B018
        except ValueError:
            known = False
        if not known:
            schemes = " or ".join(f"{scheme}://HOST" for scheme in SCHEMES[self.kind])
            raise ConfigError(f"url: a sink of kind {self.kind} has {schemes}:PORT")
        if parts.password is not None:
            raise ConfigError('url: write the password elsewhere: user, and secret = "env:NAME"')

    @property
    def contents(self) -> tuple[Content, ...]:
        """The contents of the log that are sent."""
        if self.send is None:
            return EVENTS if self.kind == "mqtt" else CONTENTS
        return self.send

    @property
    def prefix(self) -> str:
        """The beginning of topics, or the name of the one topic."""
        return self.topic or "onlooker"

    def takes(self, stream: str) -> bool:
        """Return whether the messages of a stream are sent."""
        return any(fnmatchcase(stream, pattern) for pattern in self.streams)
