"""Notices are Amazon's to the byte."""

import json
import re
from pathlib import Path

from msgspec.structs import replace
from tests.support.stored_videos import TOPIC, request, started, store

from onlooker.jobs.notices import envelope, message_id, notice


def test_the_message_is_compact_and_in_amazons_order(tmp_path: Path) -> None:
    with store(tmp_path) as jobs:
        job = started(jobs, "FaceSearch", collection="staff", tag="t:1", topic=TOPIC)
    job = replace(job, id="ab12")
    assert notice(job, "SUCCEEDED", 1514996312.069) == (
        '{"JobId":"ab12","Status":"SUCCEEDED","API":"StartFaceSearch","JobTag":"t:1",'
        '"Timestamp":1514996312069,"Video":{"S3ObjectName":"short.mp4","S3Bucket":"films"}}'
    )
    untagged = replace(job, request=request())
    assert "JobTag" not in json.loads(notice(untagged, "FAILED", 1.0))


def test_the_envelope_is_that_of_sns() -> None:
    text = envelope("id", TOPIC, '{"a":"ü"}', 1514996312.0694, b"secret")
    content = json.loads(text)
    assert list(content) == [
        "Type",
        "MessageId",
        "TopicArn",
        "Message",
        "Timestamp",
        "SignatureVersion",
        "Signature",
        "SigningCertURL",
        "UnsubscribeURL",
    ]
    assert content["Message"] == '{"a":"ü"}'
    assert content["Timestamp"] == "2018-01-03T16:18:32.069Z"
    assert '\n  "Type" : "Notification",\n' in text
    assert content["Signature"] != json.loads(envelope("id", TOPIC, "", 1.0, b"s"))["Signature"]


def test_a_job_has_one_message_id() -> None:
    assert message_id("a") == message_id("a") != message_id("b")
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", message_id("a"))
