"""People and lines, counted."""

from tests.support.appearances import event, record

from onlooker.config.schema import Config
from onlooker.record.frame_record import build
from onlooker.record.summary import Summary
from onlooker.types import (
    Face,
    Frame,
    Identity,
    Point,
    Pose,
    Quad,
    Quality,
    StoredFace,
    TextLine,
    Word,
)

QUAD: Quad = ((0.0, 0.0), (40.0, 0.0), (40.0, 10.0), (0.0, 10.0))


def face(name: str | None, similarity: float) -> Face:
    points: tuple[Point, Point, Point, Point, Point]
    points = ((10, 10), (20, 10), (15, 15), (11, 20), (19, 20))
    stored = StoredFace(
        face_id="11111111-2222-4333-8444-555555555555",
        image_id="11111111-2222-5333-8444-555555555555",
        external_image_id=name,
        box=(0.1, 0.1, 0.2, 0.2),
        confidence=99.0,
    )
    return Face(
        box=(5, 5, 25, 25),
        score=0.9,
        points=points,
        pose=Pose(roll=0, yaw=0, pitch=0),
        quality=Quality(brightness=50, sharpness=50),
        identities=(Identity(similarity=similarity, face=stored),) if similarity else (),
    )


def line(text: str, score: float = 0.9) -> TextLine:
    word = Word(text=text, score=score, quad=QUAD)
    return TextLine(text=text, score=score, quad=QUAD, words=(word,))


def frame(index: int, *, error: str | None = None, **found: tuple[object, ...]) -> Frame:
    return Frame(
        stream="video",
        epoch="e",
        index=index,
        pts=index * 2,
        time_base=(1, 4),
        fragment=0,
        fragment_pts=0,
        started=0.0,
        width=100,
        height=50,
        error=error,
        **found,  # type: ignore[arg-type]
    )


def test_people_and_lines_are_counted_by_frame() -> None:
    frames = [
        frame(0, faces=(face("ada", 90), face(None, 0)), lines=(line("EXIT", 0.8),)),
        frame(1, faces=(face("ada", 96),), lines=(line("EXIT"), line("EXIT"))),
        frame(2, error="decode: broken"),
        frame(3, faces=(face("grace", 85),), lines=(line("WAY OUT"),)),
    ]
    summary = Summary()
    records = [build(item, Config(), "d") for item in frames]
    assert list(summary.counting(records)) == records
    assert (summary.frames, summary.failed, summary.faces) == (4, 1, 4)
    ada, grace = summary.people
    assert (ada.name, ada.frames, ada.first, ada.last, ada.best) == ("ada", 2, 0.0, 0.5, 96.0)
    assert (grace.name, grace.frames, grace.first, grace.last) == ("grace", 1, 1.5, 1.5)
    assert [(s.name, s.frames, s.best) for s in summary.text] == [
        ("EXIT", 2, 90),
        ("WAY OUT", 1, 90),
    ]


def test_a_face_without_a_name_is_listed_by_its_id() -> None:
    summary = Summary()
    summary.add(build(frame(0, faces=(face(None, 88),)), Config(), "d"))
    [person] = summary.people
    assert person.name == "11111111-2222-4333-8444-555555555555"


def test_a_visit_is_one_row_whatever_its_frames_say() -> None:
    summary = Summary()
    summary.add(record(0, event(0, "new", 1.0, 1.5), event(1, "new", 0.5, 1.5, "bert")))
    summary.add(record(1, event(0, "end", 1.0, 4.0, "anna")))
    rows = [(row.name, row.first, row.last, row.frames, row.best) for row in summary.people]
    assert rows == [("bert", 0.5, 1.5, 7, 91.5), ("anna", 1.0, 4.0, 7, 91.5)]


def test_whom_nobody_knows_has_a_number() -> None:
    summary = Summary()
    summary.add(record(0, event(3, "end", 1.0, 1.5)))
    [row] = summary.people
    assert (row.name, row.best) == ("unknown 3", 0.0)
