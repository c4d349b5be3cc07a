"""Kafka: a message for each record and event in one topic, with the stream's name as its key.

The producer is idempotent, so that its own retries neither double nor reorder what it sends, and
waits until all in-sync replicas have it. https://kafka.apache.org/documentation/#producerconfigs
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from confluent_kafka import KafkaError, KafkaException, Producer

from onlooker.config.sinks import SinkConfig
from onlooker.media.url import redacted
from onlooker.record.destinations.destination import NotTaken, TooLarge, secret
from onlooker.record.destinations.message import Message


class KafkaTopic:
    """A destination. The headers `id` and `topic` tell what a message is."""

    def __init__(self, config: SinkConfig) -> None:
        self._config = config
        self._error = ""
        """The last thing that the library has said about the brokers."""
        word = secret(config.secret)
        urls = [urlsplit(url if "://" in url else f"kafka://{url}") for url in _urls(config)]
        secure = urls[0].scheme == "kafkas"
        settings: dict[str, Any] = {
            "bootstrap.servers": ",".join(f"{url.hostname}:{url.port or 9092}" for url in urls),
            "client.id": "onlooker",
            "enable.idempotence": True,
            "message.timeout.ms": round(config.timeout * 1000),
            "socket.timeout.ms": max(1000, round(config.timeout * 1000)),
            "linger.ms": 0,
            "log_level": 0,
            "error_cb": self._failed,
            "security.protocol": ("SASL_" if word else "") + ("SSL" if secure else "PLAINTEXT"),
        }
        if word is not None:
            settings |= {
                "sasl.mechanism": "PLAIN",
                "sasl.username": config.user or "token",
                "sasl.password": word,
            }
        if config.ca is not None:
            settings["ssl.ca.location"] = config.ca
        try:
            self._producer = Producer(settings)
        except KafkaException as error:
            raise NotTaken(f"{self._name}: {error.args[0].str()}") from error

    def send(self, messages: Sequence[Message], taken: Callable[[int], None]) -> None:
        results: dict[int, KafkaError | None] = {}

        def report(number: int, error: KafkaError | None, _: object) -> None:
            results[number] = error

        refused: KafkaError | None = None
        try:
            for number, message in enumerate(messages):
                self._producer.produce(
                    self._config.prefix,
                    message.body,
                    message.stream.encode(),
                    headers=[("id", message.id.encode()), ("topic", message.topic.encode())],
                    on_delivery=partial(report, number),
                )
        except KafkaException as error:  # larger than the client allows, say
            refused = error.args[0]
        self._producer.flush(self._config.timeout + 1.0)
        done = 0
        while done < len(messages) and done in results and results[done] is None:
            done += 1
        taken(done)
        if done == len(messages):
            return
        cause = results.get(done) or refused
        text = f"{self._name}: {cause.str() if cause is not None else 'no answer in time'}"
        if cause is not None and cause.code() == KafkaError.MSG_SIZE_TOO_LARGE:
            if len(messages) == 1:
                raise TooLarge(text)
            # It may be the batch that is too large: only a message alone tells.
            middle = (done + len(messages) + 1) // 2
            self.send(messages[done:middle], lambda number: taken(done + number))
            if middle < len(messages):
                self.send(messages[middle:], lambda number: taken(middle + number))
            return
        raise NotTaken(f"{text}; {self._error}" if self._error else text)

    def close(self) -> None:
        self._producer.purge()
        self._producer.flush(0)

    @property
    def _name(self) -> str:
        return f"{','.join(redacted(url) for url in _urls(self._config))} {self._config.prefix}"

    def _failed(self, error: KafkaError) -> None:
        self._error = error.str()


def _urls(config: SinkConfig) -> list[str]:
    assert config.url is not None
    return config.url.split(",")
