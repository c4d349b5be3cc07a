"""The settings of sinks."""

from typing import Any

import pytest

from onlooker.config.section import ConfigError
from onlooker.config.sinks import SinkConfig

NATS = {"kind": "nats", "url": "nats://127.0.0.1:4222"}


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"kind": "nats"}, "a sink of kind nats needs one"),
        ({"kind": "nats", "url": "http://127.0.0.1"}, "nats://HOST or tls://HOST:PORT"),
        ({"kind": "webhook", "url": "https://"}, "http://HOST or https://HOST"),
        ({"kind": "webhook", "url": "https://h:99999"}, "http://HOST or https://HOST"),
        ({**NATS, "url": "nats://ada:opensesame@h"}, "write the password elsewhere"),
        ({**NATS, "url": "nats://h,nats://ada:opensesame@h"}, "write the password elsewhere"),
        ({**NATS, "url": "nats://h,h:99999"}, "nats://HOST or tls://HOST:PORT"),
        ({"kind": "kafka", "url": "kafka://h,ada:opensesame@h"}, "write the password elsewhere"),
        ({"kind": "kafka", "url": "kafka://h,"}, "kafka://HOST or kafkas://HOST:PORT"),
        ({**NATS, "secret": "opensesame"}, "write where it is"),
        ({**NATS, "user": "ada"}, "it needs secret"),
        ({**NATS, "signing_key": "env:KEY"}, "only webhooks are signed"),
        ({**NATS, "send": ()}, "an empty list sends nothing"),
        ({"kind": "mqtt", "url": "mqtt://h", "send": ("records",)}, "takes events"),
        ({"kind": "mqtt", "url": "mqtt://h", "topic": "home/#"}, "no [+] and no #"),
        ({"kind": "mqtt", "url": "mqtt://h", "discovery": "+"}, "no [+] and no #"),
        ({**NATS, "topic": "home.>"}, "without spaces"),
        ({**NATS, "topic": "home..door"}, "parts between dots"),
        ({"kind": "kafka", "url": "kafka://h", "topic": "home/door"}, "a topic has letters"),
        ({"kind": "kinesis", "topic": "home/door"}, "a stream has letters"),
    ],
)
def test_what_cannot_be_meant(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says) as error:
        SinkConfig(**settings)
    assert "opensesame" not in str(error.value)


def test_streams_are_chosen_by_patterns() -> None:
    sink = SinkConfig(**NATS, streams=("gate-*", "door"))  # type: ignore[arg-type]
    assert [name for name in ("gate-1", "door", "doors", "Gate-1") if sink.takes(name)] == [
        "gate-1",
        "door",
    ]


def test_mqtt_takes_events_and_the_others_everything() -> None:
    assert "records" in SinkConfig(**NATS).contents  # type: ignore[arg-type]
    assert SinkConfig(kind="mqtt", url="mqtt://h").contents == ("appearances", "readings")
    assert SinkConfig(kind="kinesis").prefix == "onlooker"
