"""Records as bytes."""

import json

import pytest
from msgspec.structs import replace

from onlooker.rekognition.shapes import (
    FrameInformation,
    InputInformation,
    KinesisVideo,
    RecordError,
    StreamProcessorInformation,
    StreamRecord,
    decode,
    encode,
)

VIDEO = KinesisVideo(
    StreamArn="arn:aws:kinesisvideo:us-east-1:000000000000:stream/door/1234567890123",
    FragmentNumber="1" + 46 * "0",
    ServerTimestamp=12.5,
    ProducerTimestamp=12.5,
    FrameOffsetInSeconds=0.25,
)
RECORD = StreamRecord(
    InputInformation=InputInformation(KinesisVideo=VIDEO),
    StreamProcessorInformation=StreamProcessorInformation(Status="RUNNING"),
    FaceSearchResponse=(),
    TextDetections=(),
    RecordId="ed1b560f-d6af-5158-989a-ff586c931545",
    Sequence=1,
    FrameInformation=FrameInformation(Index=0, Pts=0, Time=0.0, Width=2, Height=2),
)


def test_a_record_is_one_line_and_comes_back() -> None:
    line = encode(RECORD)
    assert b"\n" not in line
    assert decode(line) == RECORD
    assert encode(decode(line)) == line


def test_members_without_a_value_are_left_out() -> None:
    frame = json.loads(encode(RECORD))["FrameInformation"]
    assert frame.keys() == {"Index", "Pts", "Time", "Width", "Height"}
    same = replace(RECORD, FrameInformation=replace(RECORD.FrameInformation, Same=True))
    assert json.loads(encode(same))["FrameInformation"]["Same"] is True


def test_stream_and_time() -> None:
    assert RECORD.stream == "door"
    assert RECORD.time == 12.75


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{}",
        b"[1]",
        b"\xff",
        encode(RECORD)[:-1],
        encode(RECORD).replace(b'"RecordId":"', b'"RecordId":"\xff'),
        encode(RECORD).replace(b'"Sequence":1', b'"Sequence":"1"'),
        encode(RECORD).replace(b'"Sequence":1', b'"Sequence":1,"More":1'),
    ],
)
def test_anything_else_is_named(line: bytes) -> None:
    with pytest.raises(RecordError, match=r"not a stream record: .*; it begins "):
        decode(line)
