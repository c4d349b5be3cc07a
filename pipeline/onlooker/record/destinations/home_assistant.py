"""Sensors for Home Assistant: who is in front of a camera, and the last text that it has read.

The state of a stream is a retained message, from which the next process of the sink continues.
https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery
"""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from onlooker.rekognition.shapes import Appearance, Reading
from onlooker.types import UNREADABLE

APPEARANCE_CLASS = "occupancy"
FOREIGN = re.compile(r"[^A-Za-z0-9_.\-]")


class Retained(NamedTuple):
    """A message that the broker keeps for those who subscribe later."""

    topic: str
    body: bytes


class Presence(msgspec.Struct):
    """The people in front of a camera."""

    State: str = "OFF"
    """ON if anybody is."""
    People: list[str] = []
    """The known ones of them."""
    Appearances: dict[str, str | None] = {}
    """The visits that go on, each with its person if that is a known one."""

    def changed(self, event: Appearance) -> "Presence":
        """Return the presence after an event."""
        visits = dict(self.Appearances)
        visits.pop(event.AppearanceId, None)
        if event.State != "end":
            visits[event.AppearanceId] = event.Person if event.Match is not None else None
        people = sorted({person for person in visits.values() if person is not None})
        return Presence("ON" if visits else "OFF", people, visits)


class Sensors:
    """The retained messages of all streams. prefix: of the topics; discovery: of Home Assistant's
    own, or "" for none."""

    def __init__(self, prefix: str, discovery: str) -> None:
        self._prefix = prefix
        self._discovery = discovery
        self._presence: dict[str, Presence] = {}
        """By the stream's part of topics."""
        self._announced: set[str] = set()

    @property
    def subscription(self) -> str:
        """Topics of the retained messages that `restore` takes."""
        return f"{self._prefix}/+/presence"

    @property
    def status_topic(self) -> str:
        """Topic of "online" and "offline"."""
        return f"{self._prefix}/status"

    def restore(self, topic: str, body: bytes) -> None:
        """Take the state of a stream that the broker has kept; ignore what is none."""
        try:
            found = msgspec.json.decode(body, type=Presence)
        except UNREADABLE:
            return
        self._presence[topic.removeprefix(f"{self._prefix}/").removesuffix("/presence")] = found

    def after(self, stream: str, event: Appearance | Reading) -> Iterator[Retained]:
        """Yield the messages that an event of a stream causes."""
        name = part(stream)
        if isinstance(event, Reading):
            yield from self._announce_text(stream)
            return
        before = self._presence.get(name, Presence())
        now = before.changed(event)
        yield from self._announce_presence(stream)
        for person in sorted({*before.People, *now.People}):
            yield from self._announce_person(stream, person)
            if (person in before.People) != (person in now.People):
                state = b"ON" if person in now.People else b"OFF"
                yield Retained(f"{self._prefix}/{name}/person/{part(person)}", state)
        if now != before:
            # Last: if it gets lost on its way, all of them come again.
            yield Retained(f"{self._prefix}/{name}/presence", msgspec.json.encode(now))
            self._presence[name] = now

    def _announce_presence(self, stream: str) -> Iterator[Retained]:
        topic = f"{self._prefix}/{part(stream)}/presence"
        settings = {
            "name": "Somebody",
            "device_class": APPEARANCE_CLASS,
            "state_topic": topic,
            "value_template": "{{ value_json.State }}",
            "json_attributes_topic": topic,
        }
        yield from self._announce("binary_sensor", stream, "present", settings)

    def _announce_person(self, stream: str, person: str) -> Iterator[Retained]:
        settings = {
            "name": person,
            "device_class": APPEARANCE_CLASS,
            "state_topic": f"{self._prefix}/{part(stream)}/person/{part(person)}",
        }
        yield from self._announce("binary_sensor", stream, f"person-{person}", settings)

    def _announce_text(self, stream: str) -> Iterator[Retained]:
        topic = f"{self._prefix}/{part(stream)}/reading"
        settings = {
            "name": "Text",
            "state_topic": topic,
            # A state has at most 255 characters.
            "value_template": "{{ value_json.DetectedText[:255] }}",
            "json_attributes_topic": topic,
        }
        yield from self._announce("sensor", stream, "text", settings)

    def _announce(
        self, component: str, stream: str, what: str, settings: dict[str, Any]
    ) -> Iterator[Retained]:
        id = _id(f"{self._prefix}-{stream}-{what}")
        if not self._discovery or id in self._announced:
            return
        device = {
            "identifiers": [_id(f"{self._prefix}-{stream}")],
            "name": stream,
            "manufacturer": "Onlooker",
        }
        body = {
            **settings,
            "unique_id": id,
            "availability_topic": self.status_topic,
            "device": device,
        }
        yield Retained(f"{self._discovery}/{component}/{id}/config", msgspec.json.encode(body))
        self._announced.add(id)


def part(name: str) -> str:
    """Return a name as one level of a topic: `a/b` becomes `a%2Fb`."""
    return FOREIGN.sub(lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), name)


def _id(name: str) -> str:
    """Return a name in the characters that Home Assistant allows in ids; no two are alike."""
    return "".join(
        char if re.fullmatch(r"[A-Za-z0-9-]", char) else f"_{ord(char):x}_" for char in name
    )
