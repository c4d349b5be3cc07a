"""The JSON Schema of records, by another validator than ours."""

import json
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest
from tests.support.appearances import event, record
from tests.support.frame_records import make_records

from onlooker.config.schema import Log
from onlooker.config.serving import Metrics
from onlooker.rekognition.record_schema import member_docs, record_schema
from onlooker.rekognition.shapes import BoundingBox, encode

SCHEMA = record_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def as_json() -> dict[str, Any]:
    [made] = make_records(1)
    return dict(json.loads(encode(made)))


def test_it_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$ref"] == "#/$defs/StreamRecord"


@pytest.mark.parametrize(
    "made",
    [
        *make_records(2),
        *make_records(1, faces=0, lines=0),
        *make_records(1, error="damaged"),
        record(0, event(0, "new", 1.0, 2.0, "anna"), event(1, "end", 1.0, 2.0, quiet=True)),
    ],
)
def test_records_are_valid(made: Any) -> None:
    VALIDATOR.validate(json.loads(encode(made)))


def test_events_are_valid_by_their_own_schema() -> None:
    made = json.loads(encode(record(0, event(0, "new", 1.0, 2.0, "anna"))))
    schema = {"$ref": "#/$defs/Appearance", "$defs": SCHEMA["$defs"]}
    jsonschema.Draft202012Validator(schema).validate(made["Appearances"][0])


@pytest.mark.parametrize(
    "damage",
    [
        lambda found: found.pop("RecordId"),
        lambda found: found.update(Sequence="1"),
        lambda found: found.update(Unknown=1),
        lambda found: found["FrameInformation"].pop("Index"),
        lambda found: found["TextDetections"][0].update(Type="LETTER"),
    ],
    ids=["missing", "type", "unknown", "inner", "enum"],
)
def test_others_are_not(damage: Callable[[dict[str, Any]], object]) -> None:
    found = as_json()
    damage(found)
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate(found)


def test_members_have_their_docstrings() -> None:
    members = SCHEMA["$defs"]["StreamRecord"]["properties"]
    assert members["Sequence"]["description"].startswith("1, 2, 3 ...")


def test_each_member_has_the_text_below_it() -> None:
    assert member_docs(Metrics) == {
        "listen": "Address such as 127.0.0.1:9464; None means no metrics."
    }


def test_inherited_ones_count_and_lines_are_joined() -> None:
    found = member_docs(Log)
    assert found["path"].startswith("The log; None means")
    assert found["max_age_days"] == (
        "Maximum age of a record in the log. The last record of each stream is always kept, so "
        "that a video can be resumed."
    )


def test_a_docstring_of_the_class_is_none_of_a_member() -> None:
    assert member_docs(BoundingBox) == {}
