"""A video with what was seen in it drawn into its pictures."""

import math
from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np

from onlooker.media.errors import MediaError
from onlooker.media.picture import Pixels, Planes
from onlooker.media.video_file import VideoFile
from onlooker.media.video_writer import VideoWriter
from onlooker.rekognition.shapes import FaceDetail, FaceSearch, StreamRecord, TextDetection
from onlooker.types import Frame

Colour = tuple[int, int, int]
"""Blue, green, red."""

NAMED: Colour = (90, 220, 90)
UNNAMED: Colour = (210, 210, 210)
WRITTEN: Colour = (255, 190, 70)
INK: Colour = (20, 20, 20)

FONT = cv2.FONT_HERSHEY_SIMPLEX
SMALLEST = 12.0
"""Height in pixels of letters that can still be read."""


def annotate(video: Path, records: Iterable[StreamRecord], out: Path) -> None:
    """Write `video` again as `out`, with the faces, names and lines of its `records` drawn in.

    records: of a replay of that video, in order. Times stay as they are; sound is left
    out, and so is a picture that cannot be decoded. A picture without a record stays bare.
    Raises MediaError for a video that cannot be read or written and for records of another video.
    """
    if out.exists() and out.samefile(video):
        raise MediaError(f"{out}: is the video itself; name another file to draw into")
    with (
        VideoFile(video) as source,
        VideoWriter(out, source.width, source.height, source.rate, source.time_base) as writer,
    ):
        for frame, planes, record in _beside(source.frames(video.stem), iter(records)):
            if record is not None and record.FrameInformation.Pts != frame.pts:
                raise MediaError(
                    f"the records are not of {video}: frame {frame.index} is at {frame.pts} there,"
                    f" and at {record.FrameInformation.Pts} in them"
                )
            if planes is not None:
                picture, _ = planes.region(0, 0, planes.width, planes.height)
                if record is not None:
                    draw(picture, record)
                # A video's size may change on the way; that of the file cannot.
                picture = cv2.resize(picture, (source.width, source.height)).astype(np.uint8)
                writer.write(picture, frame.pts)


def _beside(
    frames: Iterator[tuple[Frame, Planes | None]], records: Iterator[StreamRecord]
) -> Iterator[tuple[Frame, Planes | None, StreamRecord | None]]:
    """Each frame with its record; both come in the order of their index, records may be missing."""
    record = next(records, None)
    for frame, planes in frames:
        while record is not None and record.FrameInformation.Index < frame.index:
            record = next(records, None)
        own = record is not None and record.FrameInformation.Index == frame.index
        yield frame, planes, record if own else None


def draw(picture: Pixels, record: StreamRecord) -> None:
    """Draw what `record` says into `picture` (h, w, 3), which is written to."""
    draw_text(picture, record.TextDetections)
    for face in record.FaceSearchResponse:  # over the text: names matter more
        _draw_face(picture, face)


def draw_text(picture: Pixels, detections: Iterable[TextDetection]) -> None:
    """Draw the outlines of lines, and what they say, into `picture` (h, w, 3)."""
    for detection in detections:
        if detection.Type == "LINE":
            _draw_line(picture, detection)


def _draw_face(picture: Pixels, face: FaceSearch) -> None:
    height, width = picture.shape[:2]
    box = face.DetectedFace.BoundingBox
    left, top = round(box.Left * width), round(box.Top * height)
    right, bottom = round((box.Left + box.Width) * width), round((box.Top + box.Height) * height)
    best = face.MatchedFaces[0] if face.MatchedFaces else None
    colour = NAMED if best else UNNAMED
    cv2.rectangle(picture, (left, top), (right, bottom), colour, _stroke(picture), cv2.LINE_AA)
    if best is not None:
        name = best.Face.ExternalImageId or best.Face.FaceId
        _label(picture, f"{name}  {best.Similarity:.1f}", left, top, height / 30, colour)


def draw_detail(picture: Pixels, face: FaceDetail) -> None:
    """Draw a face's box, its landmarks and which way it is turned into `picture` (h, w, 3)."""
    height, width = picture.shape[:2]
    box = face.BoundingBox
    left, top = round(box.Left * width), round(box.Top * height)
    right, bottom = round((box.Left + box.Width) * width), round((box.Top + box.Height) * height)
    dot = max(1, round((right - left) / 90))
    cv2.rectangle(picture, (left, top), (right, bottom), UNNAMED, dot, cv2.LINE_AA)
    places = {mark.Type: (round(mark.X * width), round(mark.Y * height)) for mark in face.Landmarks}
    for kind, place in places.items():
        colour = next((paint for part, paint in PARTS.items() if part in kind.lower()), UNNAMED)
        cv2.circle(picture, place, dot, colour, cv2.FILLED, cv2.LINE_AA)
    length = (right - left) / 2
    yaw, pitch = math.radians(face.Pose.Yaw), math.radians(face.Pose.Pitch)
    x, y = places["nose"]
    tip = round(x + length * math.sin(yaw)), round(y - length * math.sin(pitch))
    cv2.arrowedLine(picture, (x, y), tip, NAMED, dot, cv2.LINE_AA)


PARTS: dict[str, Colour] = {
    "pupil": (255, 255, 255),
    "brow": (60, 180, 255),
    "eye": (255, 190, 70),
    "nose": (90, 220, 90),
    "mouth": (90, 90, 255),
    "jaw": (255, 120, 220),
    "chin": (255, 120, 220),
}
"""Colours of landmarks, by a word in their type; the first that fits counts."""


def _draw_line(picture: Pixels, line: TextDetection) -> None:
    height, width = picture.shape[:2]
    corners = [(point.X * width, point.Y * height) for point in line.Geometry.Polygon]
    outline = np.array(corners).round().astype(np.int32)
    cv2.polylines(picture, [outline], True, WRITTEN, _stroke(picture), cv2.LINE_AA)
    # Small, so that on a page it leaves the line above to be read.
    letters = min(0.32 * math.dist(corners[0], corners[3]), height / 30)
    left, top = outline[0].tolist()
    _label(picture, line.DetectedText, left, top, letters, WRITTEN)


def _label(picture: Pixels, text: str, left: int, top: int, letters: float, colour: Colour) -> None:
    """Text with capitals of `letters` pixels on a patch that stands on (left, top)."""
    text = text.encode("ascii", "replace").decode()  # all that the font has
    letters = max(letters, SMALLEST)
    (_, capital), _ = cv2.getTextSize("H", FONT, 1.0, 1)
    scale, stroke, margin = letters / capital, max(1, round(letters / 11)), round(letters / 3)
    (width, tall), below = cv2.getTextSize(text, FONT, scale, stroke)
    high = tall + below + margin
    # Whole in the picture, where it has the room.
    left = max(0, min(left, picture.shape[1] - width - 2 * margin))
    top = max(high, min(top, picture.shape[0]))
    patch = (left, top - high), (left + width + 2 * margin, top)
    cv2.rectangle(picture, *patch, colour, cv2.FILLED)
    at = left + margin, top - below - margin // 2
    cv2.putText(picture, text, at, FONT, scale, INK, stroke, cv2.LINE_AA)


def _stroke(picture: Pixels) -> int:
    height: int = picture.shape[0]
    return max(1, height // 360)
