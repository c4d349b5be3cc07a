"""Faces made unrecognisable in a copy of a video: all, the unknown ones, or all but some people.

A detector misses a face now and then, and one image is enough to recognise somebody. So a face that
is followed is hidden for a second before it is found and after it was lost, too, at its nearest
place.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import cv2
import numpy as np

from onlooker.errors import OnlookerError
from onlooker.escape import PEOPLE
from onlooker.media.picture import Pixels
from onlooker.rekognition.shapes import BoundingBox, StreamRecord

AROUND_SECONDS = 1.0
MARGIN = 0.25
"""Part of a box's side that is hidden around it as well: hair and ears identify, too."""
CELLS = 6
"""Cells across a hidden face; a face of so few cannot be recognised."""
EXCEPT = "except="


class BlurError(OnlookerError, ValueError):
    """The faces to hide are not named as they should be."""


class Blur(NamedTuple):
    """Whom to hide.

    known: people of the collection are shown, all others are hidden. shown: those who are shown,
    beside them; None of both hides everybody.
    """

    known: bool = False
    shown: frozenset[str] = frozenset()

    def hides(self, person: str | None) -> bool:
        """Return whether a face with this name, or none, is hidden."""
        if person is None:
            return True
        return not self.known and person not in self.shown


def parse(text: str) -> Blur:
    """Return the policy that "all", "unknown" or "except=NAME,NAME" means. Raises BlurError."""
    if text == "all":
        return Blur()
    if text == "unknown":
        return Blur(known=True)
    names = [name.strip() for name in text.removeprefix(EXCEPT).split(",")]
    if not text.startswith(EXCEPT) or not all(names):
        raise BlurError(f"{text!r}: write all, unknown, or except=NAME,NAME")
    return Blur(shown=frozenset({*names, *map(PEOPLE.meant, names)}))


class Hidden(NamedTuple):
    """A record, the places to hide in its image, and its faces that are hidden, by their place in
    FaceSearchResponse."""

    record: StreamRecord
    boxes: tuple[BoundingBox, ...]
    faces: frozenset[int]


class _Found(NamedTuple):
    time: float
    box: BoundingBox


def hidden(records: Iterable[StreamRecord], policy: Blur) -> Iterator[Hidden]:
    """Yield each record of one video with what to hide in its image, in order.

    Names are those of the whole track, so that somebody to be shown is shown in all frames, and
    somebody to be hidden in none.
    """
    window: deque[StreamRecord] = deque()
    coming = iter(records)
    at = 0
    ended = False
    while True:
        while not ended and (
            len(window) <= at or window[-1].time <= window[at].time + AROUND_SECONDS
        ):
            following = next(coming, None)
            ended = following is None
            if following is not None:
                window.append(following)
        if len(window) <= at:
            return
        while window[0].time < window[at].time - AROUND_SECONDS:
            window.popleft()
            at -= 1
        yield _hidden(window[at], window, policy)
        at += 1


def _hidden(record: StreamRecord, around: Iterable[StreamRecord], policy: Blur) -> Hidden:
    nearest: dict[str, _Found] = {}
    names: dict[str, str] = {}
    for other in around:
        if abs(other.time - record.time) > AROUND_SECONDS:
            continue
        for track in other.Tracks:
            box = other.FaceSearchResponse[track.Face].DetectedFace.BoundingBox
            known = nearest.get(track.TrackId)
            if known is None or abs(other.time - record.time) < abs(known.time - record.time):
                nearest[track.TrackId] = _Found(other.time, box)
            if track.Person is not None:
                names[track.TrackId] = track.Person
    own = {track.Face: track.TrackId for track in record.Tracks}
    faces = set()
    boxes = [found.box for name, found in nearest.items() if policy.hides(names.get(name))]
    for place, face in enumerate(record.FaceSearchResponse):
        person = names.get(own.get(place, ""))
        if person is None and face.MatchedFaces:
            best = face.MatchedFaces[0].Face
            person = best.ExternalImageId or best.FaceId
        if policy.hides(person):
            faces.add(place)
            boxes.append(face.DetectedFace.BoundingBox)
    return Hidden(record, tuple(boxes), frozenset(faces))


def hide(image: Pixels, boxes: Iterable[BoundingBox]) -> None:
    """Make the faces in these places of `image` (h, w, 3) unrecognisable."""
    height, width = image.shape[:2]
    for box in boxes:
        across, down = MARGIN * box.Width, MARGIN * box.Height
        x1, y1 = round((box.Left - across) * width), round((box.Top - down) * height)
        x2 = round((box.Left + box.Width + across) * width)
        y2 = round((box.Top + box.Height + down) * height)
        part = image[max(0, y1) : max(0, y2), max(0, x1) : max(0, x2)]
        if part.size:
            few = cv2.resize(part, (CELLS, CELLS), interpolation=cv2.INTER_AREA)
            size = (part.shape[1], part.shape[0])
            part[:] = np.asarray(cv2.resize(few, size, interpolation=cv2.INTER_LINEAR), np.uint8)
