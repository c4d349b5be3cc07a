"""From what is known about a frame to Amazon's stream record.

Here and nowhere else pixels become ratios. Nothing is read from a clock: a film looked at twice
gives the same bytes. Numbers are rounded, so that lines are short and a last bit that differs
between machines is not seen: ratios to 6 decimals (a hundredth of a pixel in a picture 10 000
wide), seconds to 6, percentages and degrees to 4.
"""

import hashlib
import re
import uuid
from fractions import Fraction

import msgspec

from onlooker.config import Config
from onlooker.record import shapes
from onlooker.record.shapes import (
    BoundingBox,
    DetectedFace,
    FaceMatch,
    FaceSearch,
    FrameInformation,
    Geometry,
    ImageQuality,
    InputInformation,
    KinesisVideo,
    Landmark,
    StreamProcessorInformation,
    StreamRecord,
    TextDetection,
)
from onlooker.types import Face, Frame, Identity, Point, Quad, StoredFace, TextLine

NAMESPACE = uuid.uuid5(uuid.NAMESPACE_OID, "onlooker/records")

FIRST_FRAGMENT = 10**46
"""47 digits, as Amazon's have: fragments sort alike as numbers and as text."""


def build(frame: Frame, config: Config) -> StreamRecord:
    """The record of one frame; `config` is what the frame was looked at with.

    A frame with an error has empty lists and says the error in FrameInformation.
    """
    size = (frame.width, frame.height)
    failed = frame.error is not None
    return StreamRecord(
        InputInformation=InputInformation(KinesisVideo=_kinesis_video(frame, config)),
        StreamProcessorInformation=StreamProcessorInformation(Status="RUNNING"),
        FaceSearchResponse=() if failed else tuple(_face(face, size) for face in frame.faces),
        TextDetections=() if failed else _text(frame.lines, size),
        RecordId=record_id(frame.stream, frame.epoch, frame.index, config),
        Sequence=frame.index + 1,
        FrameInformation=FrameInformation(
            Index=frame.index,
            Pts=frame.pts,
            Time=_round(frame.time, 6),
            Width=frame.width,
            Height=frame.height,
            Error=frame.error,
        ),
        FaceModelVersion=config.faces.embedder if config.faces.look else None,
        TextModelVersion=config.text.reader if config.text.look else None,
    )


def record_id(stream: str, epoch: str, index: int, config: Config) -> str:
    """RecordId of a frame: the same for the same frame looked at with the same configuration."""
    name = msgspec.json.encode([stream, epoch, index, config.digest()])
    return str(uuid.uuid5(NAMESPACE, name.decode()))


def _kinesis_video(frame: Frame, config: Config) -> KinesisVideo:
    # The fragment's, not the frame's: a consumer adds the offset to get the frame's time.
    fragment_time = _round(frame.started + frame.fragment_time, 3)
    offset = (frame.pts - frame.fragment_pts) * Fraction(*frame.time_base)
    return KinesisVideo(
        StreamArn=_stream_arn(frame, config),
        FragmentNumber=str(FIRST_FRAGMENT + round(frame.started * 1000) * 10**12 + frame.fragment),
        ServerTimestamp=fragment_time,
        ProducerTimestamp=fragment_time,
        FrameOffsetInSeconds=_round(float(offset), 6),
    )


def _stream_arn(frame: Frame, config: Config) -> str:
    """Amazon ends the ARN in the stream's time of creation; ours ends in digits of its epoch."""
    name = re.sub(r"[^a-zA-Z0-9_.\-]", "_", frame.stream)
    made = hashlib.sha256(msgspec.json.encode([frame.stream, frame.epoch])).digest()
    digits = 10**12 + int.from_bytes(made[:8]) % (9 * 10**12)
    place = f"{config.record.region}:{config.record.account}"
    return f"arn:aws:kinesisvideo:{place}:stream/{name}/{digits}"


def _face(face: Face, size: tuple[int, int]) -> FaceSearch:
    eye_left, eye_right, nose, mouth_left, mouth_right = (_ratio(p, size) for p in face.points)
    return FaceSearch(
        DetectedFace=DetectedFace(
            BoundingBox=_bounding_box(face.box, size),
            Confidence=_round(face.score * 100, 4),
            Landmarks=(
                Landmark(Type="eyeLeft", X=eye_left[0], Y=eye_left[1]),
                Landmark(Type="eyeRight", X=eye_right[0], Y=eye_right[1]),
                Landmark(Type="mouthLeft", X=mouth_left[0], Y=mouth_left[1]),
                Landmark(Type="mouthRight", X=mouth_right[0], Y=mouth_right[1]),
                Landmark(Type="nose", X=nose[0], Y=nose[1]),
            ),
            Pose=shapes.Pose(
                Roll=_round(face.pose.roll, 4),
                Yaw=_round(face.pose.yaw, 4),
                Pitch=_round(face.pose.pitch, 4),
            ),
            Quality=ImageQuality(
                Brightness=_round(face.quality.brightness, 4),
                Sharpness=_round(face.quality.sharpness, 4),
            ),
        ),
        MatchedFaces=tuple(_match(identity) for identity in face.identities),
    )


def _match(identity: Identity) -> FaceMatch:
    return FaceMatch(Similarity=_round(identity.similarity, 4), Face=_stored(identity.face))


def _stored(face: StoredFace) -> shapes.Face:
    left, top, width, height = face.box
    return shapes.Face(
        FaceId=face.face_id,
        BoundingBox=BoundingBox(
            Width=_round(width, 6),
            Height=_round(height, 6),
            Left=_round(left, 6),
            Top=_round(top, 6),
        ),
        ImageId=face.image_id,
        ExternalImageId=face.external_image_id,
        Confidence=_round(face.confidence, 4),
    )


def _text(lines: tuple[TextLine, ...], size: tuple[int, int]) -> tuple[TextDetection, ...]:
    """All lines first, then the words, line by line in reading order."""
    found = [
        TextDetection(
            DetectedText=line.text,
            Type="LINE",
            Id=number,
            Confidence=_round(line.score * 100, 4),
            Geometry=_geometry(line.quad, size),
        )
        for number, line in enumerate(lines)
    ]
    for parent, line in enumerate(lines):
        for word in line.words:
            found.append(
                TextDetection(
                    DetectedText=word.text,
                    Type="WORD",
                    Id=len(found),
                    ParentId=parent,
                    Confidence=_round(word.score * 100, 4),
                    Geometry=_geometry(word.quad, size),
                )
            )
    return tuple(found)


def _geometry(quad: Quad, size: tuple[int, int]) -> Geometry:
    x, y = zip(*quad, strict=True)
    return Geometry(
        BoundingBox=_bounding_box((min(x), min(y), max(x), max(y)), size),
        Polygon=tuple(shapes.Point(X=x, Y=y) for x, y in (_ratio(p, size) for p in quad)),
    )


def _bounding_box(box: tuple[float, float, float, float], size: tuple[int, int]) -> BoundingBox:
    """Never clipped: a face at the edge begins below 0 or ends beyond 1, as Amazon's do."""
    x1, y1, x2, y2 = box
    width, height = size
    return BoundingBox(
        Width=_round((x2 - x1) / width, 6),
        Height=_round((y2 - y1) / height, 6),
        Left=_round(x1 / width, 6),
        Top=_round(y1 / height, 6),
    )


def _ratio(point: Point, size: tuple[int, int]) -> Point:
    return (_round(point[0] / size[0], 6), _round(point[1] / size[1], 6))


def _round(value: float, digits: int) -> float:
    # Adding nothing turns -0.0 into 0.0.
    return round(value, digits) + 0.0
