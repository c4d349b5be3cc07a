"""The messages of an entry: which, in what order, with what ids."""

import json

import pytest
from tests.support import appearances
from tests.support.appearances import event

from onlooker.config.sinks import SinkConfig
from onlooker.record.destinations.message import messages
from onlooker.record.log.writer import Writer
from onlooker.rekognition.shapes import RecordError


def sink(**settings: object) -> SinkConfig:
    return SinkConfig(kind="webhook", url="http://127.0.0.1:1/", **settings)  # type: ignore[arg-type]


def test_a_record_and_its_events_have_ids_and_topics(log: Writer) -> None:
    made = appearances.record(3, event(1, "new", 1.0, 2.0, "ada"), event(2, "end", 0.5, 2.0))
    log.append([made])
    [entry] = log.after(0)
    record, first, second = messages(entry, sink())
    assert (record.id, record.topic, record.body) == (made.RecordId, "door/face", entry.body)
    assert [each.id for each in (first, second)] == [f"{made.RecordId}.a0", f"{made.RecordId}.a1"]
    assert first.topic == second.topic == "door/appearance"
    assert json.loads(first.body)["StreamName"] == "door"
    assert json.loads(first.body)["Person"] == "ada"
    line = json.loads(first.line())
    assert line["Id"] == first.id
    assert line["Message"] == json.loads(first.body)


def test_only_what_was_asked_for_is_sent(log: Writer) -> None:
    log.append(
        [appearances.record(3, event(1, "new", 1.0, 2.0), event(2, "new", 1.0, 2.0, None, True))]
    )
    [entry] = log.after(0)
    assert [each.kind for each in messages(entry, sink(send=("records",)))] == ["face"]
    assert [each.quiet for each in messages(entry, sink(send=("appearances",)))] == [False]
    presence = SinkConfig(kind="mqtt", url="mqtt://127.0.0.1")
    assert [each.quiet for each in messages(entry, presence)] == [False, True]
    assert list(messages(entry, sink(streams=("gate*",)))) == []
    assert len(list(messages(entry, sink(streams=("gate*", "do?r"))))) == 2


def test_a_damaged_entry_is_no_message(log: Writer) -> None:
    log.append([appearances.record(3)])
    [entry] = log.after(0)
    with pytest.raises(RecordError, match="not what was written"):
        list(messages(entry._replace(crc=1), sink()))
