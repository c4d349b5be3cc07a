"""Boxes, names and texts of a record, as a page draws them over the frame."""

from collections.abc import Callable

import msgspec

from onlooker.console import wording
from onlooker.rekognition.shapes import StreamRecord


class FaceBox(msgspec.Struct, frozen=True, array_like=True):
    """A face: left, top, width and height as ratios of the frame, name, similarity or 0."""

    left: float
    top: float
    width: float
    height: float
    name: str
    similarity: float


class LineBox(msgspec.Struct, frozen=True, array_like=True):
    """A line of text: its corners as ratios of the frame, x and y in turn, and the text."""

    corners: tuple[float, ...]
    text: str


class Overlay(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is drawn over one frame."""

    stream: str
    index: int
    time: float
    """Seconds since 1970 if the stream is live, or of the video."""
    region: tuple[float, float, float, float]
    """The part of the frame that the image shows: left, top, width and height."""
    faces: tuple[FaceBox, ...] = ()
    lines: tuple[LineBox, ...] = ()
    error: str | None = None


def faces_of(record: StreamRecord, called: Callable[[str], str]) -> tuple[FaceBox, ...]:
    """Return the faces of a record. called: returns the name of a person, for people to read."""
    tracks = {track.Face: track for track in record.Tracks}
    found = []
    for place, face in enumerate(record.FaceSearchResponse):
        box = face.DetectedFace.BoundingBox
        best = face.MatchedFaces[0] if face.MatchedFaces else None
        track = tracks.get(place)
        person = None if track is None else track.Person
        if person is None and best is not None:
            person = best.Face.UserId or best.Face.ExternalImageId or best.Face.FaceId
        number = "" if track is None else f" {track.Index + 1}"
        found.append(
            FaceBox(
                round(box.Left, 4),
                round(box.Top, 4),
                round(box.Width, 4),
                round(box.Height, 4),
                f"unknown{number}" if person is None else called(person),
                0.0 if best is None else float(wording.percent(best.Similarity)),
            )
        )
    return tuple(found)


def lines_of(record: StreamRecord) -> tuple[LineBox, ...]:
    """Return the lines of text of a record, as all of their frames so far read them."""
    read = {track.Line: track.DetectedText for track in record.LineTracks}
    return tuple(
        LineBox(
            tuple(round(side, 4) for p in line.Geometry.Polygon for side in (p.X, p.Y)),
            read.get(line.Id, line.DetectedText),
        )
        for line in record.TextDetections
        if line.Type == "LINE"
    )
