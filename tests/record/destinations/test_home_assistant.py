"""Sensors: who is present after which events, and names in topics."""

import json

from tests.support.appearances import event, record

from onlooker.record.destinations.home_assistant import Presence, Sensors, part
from onlooker.rekognition.shapes import Appearance


def seen(*args: object, **more: object) -> Appearance:
    [found] = record(1, event(*args, **more)).Appearances  # type: ignore[arg-type]
    return found


def test_a_person_is_there_until_the_last_visit_ends() -> None:
    now = Presence()
    for each, people in (
        (seen(1, "new", 0, 1), []),
        (seen(1, "update", 0, 2, "ada"), ["ada"]),
        (seen(2, "new", 1, 2, "ada"), ["ada"]),
        (seen(1, "end", 0, 3, "ada"), ["ada"]),
        (seen(2, "end", 0, 3, "ada"), []),
    ):
        now = now.changed(each)
        assert now.People == people
        assert now.State == ("ON" if now.Appearances else "OFF")
    assert now.State == "OFF"


def test_a_state_is_restored_and_nonsense_is_ignored() -> None:
    first, second = Sensors("onlooker", ""), Sensors("onlooker", "")
    *_, kept = first.after("a/b", seen(1, "new", 0, 1, "ada"))
    assert kept.topic == "onlooker/a%2Fb/presence"
    second.restore(kept.topic, kept.body)
    for nonsense in (b"nonsense", b'{"State":"\xff"}', b'{"x":' + b"[" * 10_000):
        second.restore("onlooker/c/presence", nonsense)
    off, presence = second.after("a/b", seen(1, "end", 0, 1, "ada"))
    assert (off.topic, off.body) == ("onlooker/a%2Fb/person/ada", b"OFF")
    assert json.loads(presence.body)["State"] == "OFF"


def test_sensors_are_announced_once_each() -> None:
    sensors = Sensors("onlooker", "homeassistant")
    first = list(sensors.after("door", seen(1, "new", 0, 1, "ada")))
    assert sum(each.topic.startswith("homeassistant/") for each in first) == 2
    again = list(sensors.after("door", seen(2, "new", 0, 1, "ada")))
    assert [each.topic for each in again] == ["onlooker/door/presence"]


def test_names_are_one_level_of_a_topic() -> None:
    assert [part(name) for name in ("door.1", "a/b", "+#", "ü")] == [
        "door.1",
        "a%2Fb",
        "%2B%23",
        "%C3%BC",
    ]
