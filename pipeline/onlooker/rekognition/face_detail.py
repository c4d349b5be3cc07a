"""Faces in Amazon's form: FaceDetail for a detected one, Face and FaceMatch for a stored one.

Attributes have Amazon's names. DEFAULT is the box, five landmarks, pose, quality and confidence.
Each other attribute adds one member to these; ALL adds them all, and the other 25 landmarks.
"""

from collections.abc import Collection
from typing import Any

from onlooker.rekognition import shapes
from onlooker.rekognition.ratios import Size, bounding_box, percent, place, rounded
from onlooker.rekognition.shapes import (
    AgeRange,
    BoundingBox,
    DetectedFace,
    Emotion,
    FaceDetail,
    FaceMatch,
    Gender,
    ImageQuality,
    Landmark,
    Likely,
)
from onlooker.types import LANDMARKS, Attributes, EyeDirection, Face, Identity, StoredFace

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
"""Field of `onlooker.types.Attributes` for each of Amazon's attributes."""


def fields(attributes: Collection[str]) -> frozenset[str]:
    """Return the fields of `Attributes` that a list of Amazon's attributes asks for."""
    if "ALL" in attributes:
        return frozenset(FIELDS.values())
    return frozenset(FIELDS[name] for name in attributes if name != "DEFAULT")


def face_detail(face: Face, size: Size, attributes: Collection[str] = ()) -> FaceDetail:
    """Return a face in Amazon's form, with the members that Amazon's `attributes` ask for.

    size: width and height in pixels of the image. Raises ValueError if an attribute was not
    determined.
    """
    return FaceDetail(**_members(face, size, attributes))


def detected_face(face: Face, size: Size, attributes: Collection[str] = ()) -> DetectedFace:
    """Return a face of a stream record or of CompareFaces; otherwise as `face_detail` does."""
    return DetectedFace(**_members(face, size, attributes))


def stored_face(face: StoredFace, model: str | None = None) -> shapes.Face:
    """Return a face of a collection in Amazon's form.

    model: the collection's model. Lists and searches have it, together with the face's user; stream
    records and answers to IndexFaces have neither.
    """
    left, top, width, height = face.box
    return shapes.Face(
        FaceId=face.face_id,
        BoundingBox=BoundingBox(
            Width=rounded(width, 6),
            Height=rounded(height, 6),
            Left=rounded(left, 6),
            Top=rounded(top, 6),
        ),
        ImageId=face.image_id,
        ExternalImageId=face.external_image_id,
        Confidence=rounded(face.confidence, 4),
        IndexFacesModelVersion=model,
        UserId=None if model is None else face.user_id,
    )


def face_match(identity: Identity, model: str | None = None) -> FaceMatch:
    """Return a match in Amazon's form; `model` is as `stored_face` has it."""
    return FaceMatch(
        Similarity=rounded(identity.similarity, 4), Face=stored_face(identity.face, model)
    )


def _members(face: Face, size: Size, attributes: Collection[str]) -> dict[str, Any]:
    wanted = _Wanted(face, fields(attributes))
    return {
        "BoundingBox": bounding_box(face.box, size),
        "Confidence": percent(face.score),
        "Landmarks": _landmarks(face, size) if "ALL" in attributes else _five(face, size),
        "Pose": _pose(face),
        "Quality": _quality(face),
        "AgeRange": wanted.age(),
        "Smile": wanted.likely("SMILE"),
        "Eyeglasses": wanted.likely("EYEGLASSES"),
        "Sunglasses": wanted.likely("SUNGLASSES"),
        "Gender": wanted.gender(),
        "Beard": wanted.likely("BEARD"),
        "Mustache": wanted.likely("MUSTACHE"),
        "EyesOpen": wanted.likely("EYES_OPEN"),
        "MouthOpen": wanted.likely("MOUTH_OPEN"),
        "Emotions": wanted.emotions(),
        "FaceOccluded": wanted.likely("FACE_OCCLUDED"),
        "EyeDirection": wanted.eye_direction(),
    }


class _Wanted:
    """The attributes of a face as Amazon's members; None for those not asked for."""

    def __init__(self, face: Face, wanted: frozenset[str]) -> None:
        self._attributes = face.attributes or Attributes()
        self._wanted = wanted

    def _value(self, name: str) -> Any:
        """Return the value for Amazon's attribute `name`, or None. Raises ValueError."""
        field = FIELDS[name]
        if field not in self._wanted:
            return None
        value = getattr(self._attributes, field)
        if value is None:
            raise ValueError(f"{name} is asked for, but was not determined for this face")
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
        found = self._value("EMOTIONS")
        if found is None:
            return None
        likeliest = sorted(found, key=lambda one: -one[1])
        return tuple(Emotion(Type=kind, Confidence=percent(p)) for kind, p in likeliest)

    def eye_direction(self) -> shapes.EyeDirection | None:
        gaze: EyeDirection | None = self._value("EYE_DIRECTION")
        if gaze is None:
            return None
        return shapes.EyeDirection(
            Yaw=rounded(gaze.yaw, 4),
            Pitch=rounded(gaze.pitch, 4),
            Confidence=percent(gaze.confidence),
        )


def _landmarks(face: Face, size: Size) -> tuple[Landmark, ...]:
    if not face.landmarks:
        raise ValueError("all landmarks are asked for, but no mesh was fitted to this face")
    places = (place(point, size) for point in face.landmarks)
    return tuple(
        Landmark(Type=kind, X=x, Y=y) for kind, (x, y) in zip(LANDMARKS, places, strict=True)
    )


def _five(face: Face, size: Size) -> tuple[Landmark, ...]:
    left_eye, right_eye, nose, left_mouth, right_mouth = (place(p, size) for p in face.points)
    places = (left_eye, right_eye, left_mouth, right_mouth, nose)
    return tuple(
        Landmark(Type=kind, X=x, Y=y) for kind, (x, y) in zip(LANDMARKS[:5], places, strict=True)
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
