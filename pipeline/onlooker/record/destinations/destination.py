"""The protocol of a destination, and the table of their kinds."""

import importlib
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from onlooker.config.section import ConfigError
from onlooker.config.sinks import SinkConfig, SinkKind
from onlooker.errors import OnlookerError
from onlooker.record.destinations.message import Message

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class NotTaken(OnlookerError):
    """The destination has not taken a message; the text says why."""


class TooLarge(NotTaken):
    """The destination will never take this message: it is larger than it allows."""


class Destination(Protocol):
    """A connection to a program or service. It connects with the first message, and does not try
    again by itself: after an error it is closed, and another one is made."""

    def send(self, messages: Sequence[Message], taken: Callable[[int], None]) -> None:
        """Send messages, in order.

        taken: to be called as soon as it is certain that the destination has this many of them.
        Raises NotTaken; TooLarge if that is about the first message that was not taken.
        """

    def close(self) -> None:
        """Disconnect."""


class DestinationKind(Protocol):
    """A class of destinations."""

    def __call__(self, config: SinkConfig) -> Destination: ...


KINDS: dict[SinkKind, tuple[str, str, str, str]] = {
    "webhook": ("webhook", "Webhook", "json", ""),
    "nats": ("nats_stream", "NatsStream", "nats", "nats"),
    "mqtt": ("mqtt_topics", "MqttTopics", "paho.mqtt.client", "mqtt"),
    "kinesis": ("kinesis_stream", "KinesisStream", "boto3", "s3"),
    "kafka": ("kafka_topic", "KafkaTopic", "confluent_kafka", "kafka"),
}
"""Module, class, the library it needs, and the extra that has that; by kind."""


def kind_of(config: SinkConfig) -> DestinationKind:
    """Return the class of a sink's destination. Raises ConfigError if its library is missing."""
    module, name, library, extra = KINDS[config.kind]
    try:
        importlib.import_module(library)
    except ImportError as error:
        raise ConfigError(
            f'a sink of kind "{config.kind}" needs {library}; run `pip install "onlooker[{extra}]"`'
        ) from error
    found: DestinationKind = getattr(
        importlib.import_module(f"onlooker.record.destinations.{module}"), name
    )
    return found


def check(name: str, config: SinkConfig) -> None:
    """Raise ConfigError if a sink cannot be used, whatever its destination says."""
    try:
        kind_of(config)
        secret(config.secret, header=config.kind == "webhook" and not config.user)
        signing = secret(config.signing_key)
        if signing is not None and len(signing) < 16:
            raise ConfigError("signing_key: the secret needs 16 bytes or more")
        if config.ca is not None and not Path(config.ca).is_file():
            raise ConfigError(f"ca: {config.ca}: there is no such file")
    except ConfigError as error:
        raise ConfigError(f"[sinks.{name}] {error}") from error


def secret(place: str | None, *, header: bool = False) -> str | None:
    """Return the secret at "env:NAME" or "file:PATH".

    header: whether it is sent as it is in a header of HTTP. Raises ConfigError, which never shows
    the secret, if there is none or it cannot be sent.
    """
    if place is None:
        return None
    kind, _, name = place.partition(":")
    try:
        found = os.environ.get(name, "") if kind == "env" else Path(name).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        cause = getattr(error, "strerror", None) or "not UTF-8"
        raise ConfigError(f"the secret cannot be read: {name}: {cause}") from error
    found = found.strip()
    if not found:
        raise ConfigError(f"the secret cannot be read: {place} is not set, or empty")
    if CONTROL.search(found):
        raise ConfigError(f"the secret at {place} has a line break or another control character")
    try:
        found.encode("latin-1" if header else "utf-8")
    except UnicodeEncodeError:
        raise ConfigError(f"the secret at {place} has a character that cannot be sent") from None
    return found
