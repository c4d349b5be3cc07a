"""The messages that an entry of the log becomes: its record, and its events."""

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from onlooker.config.sinks import SinkConfig
from onlooker.record.log.reader import Entry
from onlooker.record.log.visit_table import encode_event
from onlooker.record.sinks.publish_messages import APPEARANCE, READING, kind
from onlooker.rekognition.shapes import Appearance, Reading, RecordError, decode


class Message(NamedTuple):
    """A record or an event on its way."""

    id: str
    """RecordId; of an event that of the record it came with, and its place there."""
    stream: str
    kind: str
    """The last part of the topic, as `onlooker.record.sinks.publish_messages` has it."""
    body: bytes
    """One line of JSON."""
    position: int
    """Of the entry, in the log."""
    event: Appearance | Reading | None = None
    """What sensors follow; None also in a replay, which says nothing about who is there now."""
    quiet: bool = False
    """The event is of a person who was here within the cooldown: only presence follows it."""

    @property
    def topic(self) -> str:
        return f"{self.stream}/{self.kind}"

    def line(self) -> bytes:
        """Return the message with its id and topic, as one line of JSON with the newline."""
        head = msgspec.json.encode({"Id": self.id, "Topic": self.topic})
        return head[:-1] + b',"Message":' + self.body + b"}\n"


def messages(entry: Entry, config: SinkConfig, live: bool = True) -> Iterator[Message]:
    """Yield what a sink sends of an entry: the record first. Raises RecordError if it is damaged.

    live: whether the log is no replay's. Quiet events are yielded for sinks of presence only
    ("mqtt"), and not of a replay.
    """
    if not config.takes(entry.stream):
        return
    if not entry.intact:
        raise RecordError("it is not what was written; `onlooker log check` says more")
    record = decode(entry.body)
    stream, position, contents = entry.stream, entry.position, config.contents
    if "records" in contents:
        yield Message(record.RecordId, stream, kind(record), entry.body, position)
    if "appearances" in contents:
        for number, event in enumerate(record.Appearances):
            if not event.Quiet or (config.kind == "mqtt" and live):
                id, body = f"{record.RecordId}.a{number}", encode_event(stream, event)
                followed = event if live else None
                yield Message(id, stream, APPEARANCE, body, position, followed, event.Quiet)
    if "readings" in contents:
        for number, reading in enumerate(record.Readings):
            id, body = f"{record.RecordId}.r{number}", encode_event(stream, reading)
            yield Message(id, stream, READING, body, position, reading if live else None)
