"""The sink for MQTT, against mosquitto: events, presence through restarts, discovery, refusals."""

import json
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode
from tests.support.appearances import event, record
from tests.support.brokers import MqttBroker
from tests.support.deliveries import delivering, expected
from tests.support.processes import wait_until
from tests.support.webhooks import first_seen

from onlooker.record.destinations.mqtt_topics import MqttTopics
from onlooker.record.log.writer import Writer


def states(mosquitto: MqttBroker, topic: str) -> list[str]:
    """Return what came of a topic, each once in a row."""
    found = [body.decode() for name, body, _ in mosquitto.messages if name == topic]
    return [now for before, now in zip([None, *found], found, strict=False) if now != before]


def test_presence_goes_on_through_restarts_of_both(
    log: Writer, mosquitto: MqttBroker, tmp_path: Path
) -> None:
    log.append([record(1, event(1, "new", 0.0, 1.0, "ada"), event(2, "new", 0.0, 1.0))])
    with delivering(log, mosquitto.config, tmp_path) as attempts:
        attempts.finish()
        log.append([record(2, event(3, "new", 1.0, 2.0, "ada", quiet=True))])
        attempts.finish()
        attempts.state.crc = 0
    (tmp_path / "sink.cursor").unlink()
    assert wait_until(lambda: len(states(mosquitto, "onlooker/door/presence")) == 3, 60)
    mosquitto.restart()
    log.append([record(3, event(1, "end", 0.0, 1.0, "ada"))])
    log.append([record(4, event(2, "end", 0.0, 3.0))])
    log.append([record(5, event(3, "end", 1.0, 4.0, "ada", quiet=True))])
    with delivering(log, mosquitto.config, tmp_path) as attempts:
        attempts.state.position = 2  # where the one before was
        attempts.finish()
    assert wait_until(lambda: states(mosquitto, "onlooker/door/person/ada") == ["ON", "OFF"], 60)
    last = json.dumps("OFF")
    presence = "onlooker/door/presence"
    assert wait_until(lambda: last in states(mosquitto, presence)[-1], 60)
    # The reader may get a message again: its connection has QoS 1, too. No two states are equal.
    came = first_seen(states(mosquitto, "onlooker/door/presence"))
    found = [json.loads(each) for each in came]
    assert [(each["State"], each["People"], len(each["Appearances"])) for each in found] == [
        ("ON", ["ada"], 1),
        ("ON", ["ada"], 2),
        ("ON", ["ada"], 3),
        ("ON", ["ada"], 2),
        ("ON", ["ada"], 1),
        ("OFF", [], 0),
    ]
    assert states(mosquitto, "onlooker/door/presence")[-1] == came[-1]
    wanted = [each for each in expected(log, mosquitto.config) if not each.quiet]
    assert first_seen(mosquitto.ids()) == [each.id for each in wanted]
    ended = ["online", "offline"]
    assert wait_until(lambda: states(mosquitto, "onlooker/status")[-2:] == ended, 60)


def test_home_assistant_discovers_sensors(
    log: Writer, mosquitto: MqttBroker, tmp_path: Path
) -> None:
    log.append([record(1, event(1, "new", 0.0, 1.0, "Ada:fc:"))])
    with delivering(log, mosquitto.config, tmp_path) as attempts:
        attempts.finish()
    assert wait_until(lambda: states(mosquitto, "onlooker/status")[-1:] == ["offline"], 60)
    configs = {
        topic: json.loads(body)
        for topic, body, _ in mosquitto.messages
        if topic.startswith("homeassistant/")
    }
    assert len(configs) == 2
    for topic, config in configs.items():
        assert topic == f"homeassistant/binary_sensor/{config['unique_id']}/config"
        assert config["availability_topic"] == "onlooker/status"
        assert config["device"]["name"] == "door"
        assert states(mosquitto, config["state_topic"]), "the sensor has a state"


def test_a_replay_sends_its_events_and_changes_no_sensor(
    log: Writer, mosquitto: MqttBroker, tmp_path: Path
) -> None:
    """It shares topics with the streams that run, whose sensors it would make unavailable."""
    log.append([record(1, event(1, "new", 0.0, 1.0, "ada"))])
    log.append([record(2, event(2, "new", 0.0, 1.0, "ada", quiet=True))])
    with delivering(log, mosquitto.config, tmp_path) as running:
        running.finish()
        assert wait_until(lambda: states(mosquitto, "onlooker/status") == ["online"], 60)
        before = len(mosquitto.messages)
        (tmp_path / "replay").mkdir()
        with (
            Writer(tmp_path / "replay.db") as replayed,
            delivering(replayed, mosquitto.config, tmp_path / "replay", live=False) as replay,
        ):
            replayed.append([record(3, event(3, "new", 0.0, 1.0, "bob"))])
            replayed.append([record(4, event(3, "end", 0.0, 2.0, "bob"))])
            replayed.append([record(5, event(4, "new", 3.0, 3.0, "bob", quiet=True))])
            replay.finish()
        log.append([record(6, event(1, "end", 0.0, 4.0, "ada"))])
        running.finish()
        assert wait_until(lambda: len(mosquitto.ids()) == 4, 60)
        came = [topic for topic, _, _ in list(mosquitto.messages)[before:]]
        assert came[:2] == ["onlooker/door/appearance"] * 2
        assert not any("bob" in topic for topic in came)
        assert states(mosquitto, "onlooker/status") == ["online"]


def test_a_broker_that_is_restarted_again_and_again_gets_all_events_in_order(
    log: Writer, mosquitto: MqttBroker, tmp_path: Path
) -> None:
    with delivering(log, mosquitto.config, tmp_path) as attempts:
        for number in range(3):
            log.append(
                [record(50 * number + one, event(one, "new", 0.0, 1.0, "ada")) for one in range(50)]
            )
            attempts.until_sent(51 * number + 10)
            mosquitto.stop()
            log.append([record(1000 + number, event(99, "new", 0.0, 1.0, "ada"))])
            attempts.until_failed()
            mosquitto.start()
        attempts.finish()
    wanted = [each.id for each in expected(log, mosquitto.config)]
    assert wait_until(lambda: len(first_seen(mosquitto.ids())) == len(wanted), 60)
    assert first_seen(mosquitto.ids()) == wanted


def test_what_the_broker_does_not_allow_is_not_delivered(
    log: Writer, mosquitto: MqttBroker, tmp_path: Path
) -> None:
    settings, allowed = tmp_path / "mosquitto.conf", tmp_path / "rules"
    before = settings.read_text()
    allowed.write_text("topic read #\ntopic write onlooker/status\n")
    allowed.chmod(0o600)
    settings.write_text(f"{before}acl_file {allowed}\n")
    mosquitto.restart()
    log.append([record(1, event(1, "new", 0.0, 1.0, "ada"))])
    with delivering(log, mosquitto.config, tmp_path) as attempts:
        for _ in range(20):  # the broker may just be starting
            attempts.until_failed()
            if "refuses" in attempts.errors[-1]:
                break
        assert "refuses onlooker/door/appearance" in attempts.errors[-1]
        assert "Not authorized" in attempts.errors[-1]
        assert (attempts.state.position, attempts.state.sent) == (0, 0)
        settings.write_text(before)
        mosquitto.restart()
        attempts.finish()
        assert attempts.state.sent == len(expected(log, mosquitto.config))


def test_states_that_the_broker_does_not_send_are_an_error(
    log: Writer, mosquitto: MqttBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered = MqttTopics._on_subscribe

    def refused(topics: MqttTopics, client: Any, data: Any, mid: int, *_: Any) -> None:
        # Mosquitto's own rules refuse no subscription.
        codes = [ReasonCode(PacketTypes.SUBACK, "Not authorized")]
        answered(topics, client, data, mid, codes, None)

    monkeypatch.setattr(MqttTopics, "_on_subscribe", refused)
    log.append([record(1, event(1, "new", 0.0, 1.0, "ada"))])
    with delivering(log, mosquitto.config, tmp_path) as attempts:
        attempts.until_failed()
        assert "refuses to send onlooker/" in attempts.errors[-1]
        assert "Not authorized" in attempts.errors[-1]
