"""The form of a stream record, written down again from Amazon's document."""

import math
import re
from collections.abc import Callable
from typing import Any

Json = Any
Check = Callable[[Json], None]


def number(low: float = -math.inf, high: float = math.inf) -> Check:
    def check(value: Json) -> None:
        assert type(value) in (int, float)
        assert math.isfinite(value)
        assert low <= value <= high

    return check


def whole(value: Json) -> None:
    assert type(value) is int


def text(pattern: str) -> Check:
    def check(value: Json) -> None:
        assert type(value) is str
        assert re.fullmatch(pattern, value)

    return check


def members(**checks: Check) -> Check:
    """An object with exactly these keys; one whose name begins with `maybe_` may be missing."""
    needed = {name for name in checks if not name.startswith("maybe_")}
    known = {name.removeprefix("maybe_"): check for name, check in checks.items()}

    def check(value: Json) -> None:
        assert type(value) is dict
        assert needed <= value.keys() <= known.keys()
        for name, member in value.items():
            known[name](member)

    return check


def many(item: Check, count: int | None = None) -> Check:
    def check(value: Json) -> None:
        assert type(value) is list
        assert count is None or len(value) == count
        for one in value:
            item(one)

    return check


UUID = text("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
percent = number(0, 100)
degree = number(-180, 180)
box = members(Width=number(0), Height=number(0), Left=number(), Top=number())
point = members(X=number(), Y=number())

detected_face = members(
    BoundingBox=box,
    Confidence=percent,
    Landmarks=many(
        members(Type=text("eyeLeft|eyeRight|mouthLeft|mouthRight|nose"), X=number(), Y=number()), 5
    ),
    Pose=members(Roll=degree, Yaw=degree, Pitch=degree),
    Quality=members(Brightness=percent, Sharpness=percent),
)
matched_face = members(
    Similarity=percent,
    Face=members(
        FaceId=UUID,
        BoundingBox=box,
        ImageId=UUID,
        maybe_ExternalImageId=text(r"[a-zA-Z0-9_.\-:]{1,255}"),
        Confidence=percent,
    ),
)
geometry = members(BoundingBox=box, Polygon=many(point, 4))
line_or_word = {
    "LINE": members(
        DetectedText=text(".+"), Type=text("LINE"), Id=whole, Confidence=percent, Geometry=geometry
    ),
    "WORD": members(
        DetectedText=text(".+"),
        Type=text("WORD"),
        Id=whole,
        ParentId=whole,
        Confidence=percent,
        Geometry=geometry,
    ),
}
schema = members(
    InputInformation=members(
        KinesisVideo=members(
            StreamArn=text(
                r"arn:aws:kinesisvideo:[a-z\d-]+:\d{12}:stream/[a-zA-Z0-9_.-]{1,256}/[0-9]{13}"
            ),
            FragmentNumber=text("[0-9]{1,128}"),
            ServerTimestamp=number(),
            ProducerTimestamp=number(),
            FrameOffsetInSeconds=number(0),
        )
    ),
    StreamProcessorInformation=members(Status=text("RUNNING")),
    FaceSearchResponse=many(members(DetectedFace=detected_face, MatchedFaces=many(matched_face))),
    TextDetections=many(lambda value: line_or_word[value["Type"]](value)),
    RecordId=UUID,
    Sequence=whole,
    FrameInformation=members(
        Index=whole, Pts=whole, Time=number(), Width=whole, Height=whole, maybe_Error=text(".+")
    ),
    maybe_FaceModelVersion=text(".+"),
    maybe_TextModelVersion=text(".+"),
)
