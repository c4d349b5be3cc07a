"""The things that are drawn over a frame."""

from msgspec.structs import replace
from tests.support.appearances import match
from tests.support.frame_records import FACE, LINE
from tests.support.frames import frame

from onlooker.config.schema import Config
from onlooker.console.overlay import FaceBox, LineBox, faces_of, lines_of
from onlooker.escape import PEOPLE
from onlooker.record.frame_record import build
from onlooker.rekognition.shapes import StreamRecord
from onlooker.types import Face, TextLine, TrackRef


def record(faces: tuple[Face, ...] = (), lines: tuple[TextLine, ...] = ()) -> StreamRecord:
    return build(frame("door", 0, width=640, height=360, faces=faces, lines=lines), Config(), "d")


def test_the_track_names_a_face() -> None:
    track = TrackRef(id="11111111-2222-4333-8444-000000000000", number=4, person="bert")
    faces = (
        replace(FACE, identities=(match("anna"),), track=track),
        replace(FACE, identities=(match("anna"),)),
        replace(FACE, track=replace(track, person=None)),
        FACE,
    )
    found = faces_of(record(faces), PEOPLE.shown)
    assert [face.name for face in found] == ["bert", "anna", "unknown 5", "unknown"]
    assert found[0] == FaceBox(0.1, 0.1, 0.1, 0.2, "bert", 91.5)


def test_a_similarity_is_never_rounded_up() -> None:
    [found] = faces_of(record((replace(FACE, identities=(match("anna", 99.99),)),)), PEOPLE.shown)
    assert found.similarity == 99.9


def test_lines_without_their_words() -> None:
    [line] = lines_of(record(lines=(LINE,)))
    assert line == LineBox((0.1, 0.1, 0.5, 0.1, 0.5, 0.2, 0.1, 0.2), "Grüße aus Köln")
