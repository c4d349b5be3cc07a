"""From a face to Amazon's FaceDetail and its lesser relatives.

What is asked for is named as Amazon names it: DEFAULT is the box, five landmarks, pose, quality and
confidence; each other attribute adds one member to these, and ALL adds all, and the other
twenty-five landmarks.
"""

from collections.abc import Collection
from typing import Any, get_args

from onlooker.rekognition import shapes
from onlooker.rekognition.ratios import Size, bounding_box, percent, place, rounded
from onlooker.rekognition.shapes import (
    AgeRange,
    DetectedFace,
    Emotion,
    FaceDetail,
    Gender,
    ImageQuality,
    Landmark,
    LandmarkType,
    Likely,
)
from onlooker.types import Attributes, EyeDirection, Face

FIELDS = {
    "AGE_RANGE": "age",
    "BEARD": "beard",
    "EMOTIONS": "emotions",
    "EYEGLASSES": "eyeglasses",
    "EYES_OPEN": "eyes_open",
    "EYE_DIRECTION": "eye_direction",
    "FACE_OCCLUDED": "occluded",
    "GENDER": "male",
    "MOUTH_OPEN": "mouth_open",
    "MUSTACHE": "mustache",
    "SMILE": "smile",
    "SUNGLASSES": "sunglasses",
}
"""Field of `onlooker.types.Attributes` that tells each of Amazon's attributes."""

TYPES: tuple[LandmarkType, ...] = get_args(LandmarkType)


def fields(attributes: Collection[str]) -> frozenset[str]:
    """The fields of `Attributes` that a list of Amazon's attributes asks for."""
    if "ALL" in attributes:
        return frozenset(FIELDS.values())
    return frozenset(FIELDS[name] for name in attributes if name != "DEFAULT")


def face_detail(face: Face, size: Size, attributes: Collection[str] = ()) -> FaceDetail:
    """What is known of a face in a picture of `size`, as Amazon's `attributes` ask for it.

    Raises ValueError where something is asked for that nobody looked for.
    """
    return FaceDetail(**_members(face, size, attributes))


def detected_face(face: Face, size: Size, attributes: Collection[str] = ()) -> DetectedFace:
    """What the stream record and CompareFaces say of a face; `attributes` as for `face_detail`."""
    return DetectedFace(**_members(face, size, attributes))


def _members(face: Face, size: Size, attributes: Collection[str]) -> dict[str, Any]:
    told = _Told(face, fields(attributes))
    return {
        "BoundingBox": bounding_box(face.box, size),
        "AgeRange": told.age(),
        "Smile": told.likely("SMILE"),
        "Eyeglasses": told.likely("EYEGLASSES"),
        "Sunglasses": told.likely("SUNGLASSES"),
        "Gender": told.gender(),
        "Beard": told.likely("BEARD"),
        "Mustache": told.likely("MUSTACHE"),
        "EyesOpen": told.likely("EYES_OPEN"),
        "MouthOpen": told.likely("MOUTH_OPEN"),
        "Emotions": told.emotions(),
        "Landmarks": _landmarks(face, size) if "ALL" in attributes else _five(face, size),
        "Pose": _pose(face),
        "Quality": _quality(face),
        "Confidence": percent(face.score),
        "FaceOccluded": told.likely("FACE_OCCLUDED"),
        "EyeDirection": told.eye_direction(),
    }


class _Told:
    """The attributes of a face as Amazon's members; None for those that are not wanted."""

    def __init__(self, face: Face, wanted: frozenset[str]) -> None:
        self._attributes = face.attributes or Attributes()
        self._wanted = wanted

    def _value(self, name: str) -> Any:
        """What the attribute that Amazon calls `name` is; None where it is not wanted."""
        field = FIELDS[name]
        if field not in self._wanted:
            return None
        value = getattr(self._attributes, field)
        if value is None:
            raise ValueError(f"{name} is asked for, but nobody looked for it in this face")
        return value

    def likely(self, name: str) -> Likely | None:
        p = self._value(name)
        return None if p is None else Likely(Value=p >= 0.5, Confidence=percent(max(p, 1 - p)))

    def gender(self) -> Gender | None:
        p = self._value("GENDER")
        if p is None:
            return None
        return Gender(Value="Male" if p >= 0.5 else "Female", Confidence=percent(max(p, 1 - p)))

    def age(self) -> AgeRange | None:
        years = self._value("AGE_RANGE")
        return None if years is None else AgeRange(Low=years[0], High=years[1])

    def emotions(self) -> tuple[Emotion, ...] | None:
        told = self._value("EMOTIONS")
        if told is None:
            return None
        likeliest = sorted(told, key=lambda one: -one[1])
        return tuple(Emotion(Type=kind, Confidence=percent(p)) for kind, p in likeliest)

    def eye_direction(self) -> shapes.EyeDirection | None:
        look: EyeDirection | None = self._value("EYE_DIRECTION")
        if look is None:
            return None
        return shapes.EyeDirection(
            Yaw=rounded(look.yaw, 4),
            Pitch=rounded(look.pitch, 4),
            Confidence=percent(look.confidence),
        )


def _landmarks(face: Face, size: Size) -> tuple[Landmark, ...]:
    if not face.landmarks:
        raise ValueError("all landmarks are asked for, but no mesh was laid over this face")
    places = (place(point, size) for point in face.landmarks)
    return tuple(Landmark(Type=kind, X=x, Y=y) for kind, (x, y) in zip(TYPES, places, strict=True))


def _five(face: Face, size: Size) -> tuple[Landmark, ...]:
    left_eye, right_eye, nose, left_mouth, right_mouth = (place(p, size) for p in face.points)
    places = (left_eye, right_eye, left_mouth, right_mouth, nose)
    return tuple(
        Landmark(Type=kind, X=x, Y=y) for kind, (x, y) in zip(TYPES[:5], places, strict=True)
    )


def _pose(face: Face) -> shapes.Pose:
    return shapes.Pose(
        Roll=rounded(face.pose.roll, 4),
        Yaw=rounded(face.pose.yaw, 4),
        Pitch=rounded(face.pose.pitch, 4),
    )


def _quality(face: Face) -> ImageQuality:
    return ImageQuality(
        Brightness=rounded(face.quality.brightness, 4),
        Sharpness=rounded(face.quality.sharpness, 4),
    )
