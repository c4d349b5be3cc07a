"""Records with a person's visit, as the tracker makes them."""

from typing import Literal

from msgspec.structs import replace
from tests.support.frame_records import FACE
from tests.support.frames import frame

from onlooker.config.schema import Config
from onlooker.record.frame_record import build
from onlooker.rekognition.shapes import StreamRecord
from onlooker.types import Appearance, BestFace, Identity, StoredFace, TrackRef

VISIT = "11111111-2222-4333-8444-{:012d}"


def match(name: str, similarity: float = 91.5) -> Identity:
    """Return a match of the person `name`."""
    face = StoredFace(
        face_id="22222222-2222-4333-8444-555555555555",
        image_id="33333333-2222-4333-8444-555555555555",
        external_image_id=name,
        box=(0.1, 0.1, 0.2, 0.2),
        confidence=99.0,
    )
    return Identity(similarity=similarity, face=face)


def event(
    number: int,
    state: Literal["new", "update", "end"],
    start: float,
    end: float,
    person: str | None = None,
    quiet: bool = False,
) -> Appearance:
    """Return an event of visit `number` of the stream "door"."""
    return Appearance(
        id=VISIT.format(number),
        state=state,
        stream="door",
        number=number,
        start=start,
        end=end,
        person=person,
        match=None if person is None else match(person),
        frames=7,
        best=BestFace(record_id=VISIT.format(0), time=start, face=FACE, weight=0.5),
        quiet=quiet,
    )


def record(index: int, *events: Appearance, stream: str = "door") -> StreamRecord:
    """Return the record of a frame with a face of each event's track."""
    faces = tuple(
        replace(FACE, track=TrackRef(id=each.id, number=each.number, person=each.person))
        for each in events
    )
    made = frame(stream, index, width=640, height=360, faces=faces, appearances=events)
    return build(made, Config(), "d")
