"""MQTT: events, and the presence of people as sensors for Home Assistant.

An event is sent with QoS 1 and, as the user property `id` of MQTT 5, with its id.
"""

import ssl
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from onlooker.config.sinks import SinkConfig
from onlooker.media.url import redacted
from onlooker.record.destinations.destination import NotTaken, secret
from onlooker.record.destinations.home_assistant import Sensors, part
from onlooker.record.destinations.message import Message

KEEPALIVE_SECONDS = 30
PORTS = {"mqtt": 1883, "mqtts": 8883}


class MqttTopics:
    """A destination. Each message is sent after the broker has acknowledged the one before.

    The sensors and their availability are those of the messages that carry events: a replay's,
    which carry none, change nothing of them.
    """

    def __init__(self, config: SinkConfig) -> None:
        self._config = config
        self._client: mqtt.Client | None = None
        self._sensors = Sensors(config.prefix, config.discovery)
        self._has_sensors = False
        self._connected = threading.Event()
        self._subscribed = threading.Event()
        self._refusal = ""
        self._refused: dict[int, str] = {}
        """Causes by the identifiers of messages that the broker has answered, and not taken."""

    def send(self, messages: Sequence[Message], taken: Callable[[int], None]) -> None:
        try:
            if self._client is None:
                self._has_sensors = any(message.event is not None for message in messages)
            client = self._client or self._connect()
            for number, message in enumerate(messages, 1):
                if not message.quiet:
                    topic = f"{self._config.prefix}/{part(message.stream)}/{message.kind}"
                    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
                    properties.UserProperty = [("id", message.id)]
                    self._publish(client, topic, message.body, properties=properties)
                if message.event is not None:
                    for each in self._sensors.after(message.stream, message.event):
                        self._publish(client, each.topic, each.body, retain=True)
                taken(number)
        except (OSError, ValueError, RuntimeError) as error:
            raise NotTaken(f"{self._name}: {error}") from error

    def close(self) -> None:
        if (client := self._client) is None:
            return
        with suppress(NotTaken, OSError, ValueError, RuntimeError):
            if self._has_sensors and client.is_connected():
                self._publish(client, self._sensors.status_topic, b"offline", retain=True)
        client.disconnect()
        client.loop_stop()

    @property
    def _name(self) -> str:
        return redacted(self._config.url or "")

    def _publish(self, client: mqtt.Client, topic: str, body: bytes, **how: Any) -> None:
        """Publish a message, and wait until the broker has it. Raises NotTaken."""
        sent = client.publish(topic, body, qos=1, **how)
        sent.wait_for_publish(self._config.timeout)
        if not sent.is_published():
            cause = "no answer in time" if client.is_connected() else "the connection was lost"
            raise NotTaken(f"{self._name}: {cause}")
        if (refusal := self._refused.pop(sent.mid, None)) is not None:
            raise NotTaken(f"{self._name}: the broker refuses {topic}: {refusal}")

    def _connect(self) -> mqtt.Client:
        """Connect. Raises NotTaken, OSError."""
        config, word = self._config, secret(self._config.secret)
        url = urlsplit(config.url or "")
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            protocol=mqtt.MQTTv5,
            reconnect_on_failure=False,
        )
        self._client = client
        if word is not None:
            client.username_pw_set(config.user or "", word)
        if url.scheme == "mqtts":
            client.tls_set_context(ssl.create_default_context(cafile=config.ca))
        client.connect_timeout = config.timeout
        if self._has_sensors:
            client.will_set(self._sensors.status_topic, b"offline", qos=1, retain=True)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_publish = self._on_publish
        client.on_message = self._on_message
        client.connect(url.hostname or "", url.port or PORTS[url.scheme], KEEPALIVE_SECONDS)
        client.loop_start()
        if not self._connected.wait(config.timeout) or self._refusal:
            raise NotTaken(f"{self._name}: {self._refusal or 'no answer in time'}")
        if self._has_sensors:
            self._begin_sensors(client)
        return client

    def _begin_sensors(self, client: mqtt.Client) -> None:
        """Take the states that the broker has, and say that they are followed. Raises NotTaken."""
        client.subscribe(self._sensors.subscription, qos=1)
        if not self._subscribed.wait(self._config.timeout):
            raise NotTaken(f"{self._name}: no answer in time")
        if self._refusal:
            topic = self._sensors.subscription
            raise NotTaken(f"{self._name}: the broker refuses to send {topic}: {self._refusal}")
        # Its acknowledgement comes behind the states that the broker has kept.
        self._publish(client, self._sensors.status_topic, b"online", retain=True)
        client.unsubscribe(self._sensors.subscription)

    def _on_connect(self, *results: Any) -> None:
        reason = results[3]
        self._refusal = str(reason) if reason.is_failure else ""
        self._connected.set()

    def _on_publish(self, *results: Any) -> None:
        # It is called before the message counts as published.
        mid, reason = results[2:4]
        if reason.is_failure:
            self._refused[mid] = str(reason)

    def _on_subscribe(self, *results: Any) -> None:
        self._refusal = next((str(each) for each in results[3] if each.is_failure), "")
        self._subscribed.set()

    def _on_message(self, _: mqtt.Client, __: Any, message: mqtt.MQTTMessage) -> None:
        if message.retain:
            self._sensors.restore(message.topic, bytes(message.payload))
