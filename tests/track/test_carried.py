"""Results that are carried over from frame to frame."""

from typing import Any

import pytest
from msgspec.structs import replace
from tests.support.frame_records import FACE
from tests.support.frames import frame

from onlooker.track.carried import KEPT_SECONDS, Carried, placed
from onlooker.track.face_tracker import Detected, FaceTracker
from onlooker.types import Attributes, Face, Like, Pose, Quality, TextLine, TextQuad, Word

WIDE = ((10.0, 10.0), (90.0, 10.0), (90.0, 30.0), (10.0, 30.0))
MESHED = replace(
    FACE,
    landmarks=((70.0, 50.0), (90.0, 80.0)),
    pose=Pose(roll=10.0, yaw=5.0, pitch=-3.0),
    attributes=Attributes(smile=0.9),
)


def line(text: str, quad: Any = WIDE) -> TextLine:
    return TextLine(text=text, score=0.9, quad=quad, words=(Word(text=text, score=0.9, quad=quad),))


def quad(**more: Any) -> TextQuad:
    return TextQuad(quad=WIDE, score=0.8, **more)


def like(index: int, number: int = 0, x: float = 0.0, y: float = 0.0) -> Like:
    return Like(frame=index, number=number, move=(1.0, 0.0, x, y))


def test_a_face_gets_the_mesh_and_the_attributes_of_the_one_it_is_like() -> None:
    carried = Carried()
    carried.fill(frame("a", 3, faces=(MESHED,)), 0.12)
    quarter = Like(frame=3, number=0, move=(0.0, 1.0, 200.0, 0.0))  # a quarter turn, clockwise
    later = replace(FACE, box=(1.0, 2.0, 3.0, 4.0), like=quarter)
    filled, _ = carried.fill(frame("a", 5, faces=(later,)), 0.2)
    [face] = filled.faces
    assert face.box == later.box
    assert face.landmarks == ((150.0, 70.0), (120.0, 90.0))
    assert face.points[0] == (200.0 - MESHED.points[0][1], MESHED.points[0][0])
    assert face.pose.roll == pytest.approx(100.0)
    assert (face.pose.yaw, face.pose.pitch) == (5.0, -3.0)
    assert face.attributes == MESHED.attributes
    assert face.vector is None


def test_without_a_mesh_points_and_pose_are_the_detectors() -> None:
    carried = Carried()
    carried.fill(frame("a", 0, faces=(replace(MESHED, aligned=False),)), 0.0)
    later = replace(FACE, like=like(0, x=5.0))
    filled, _ = carried.fill(frame("a", 1, faces=(later,)), 0.04)
    [face] = filled.faces
    assert not face.aligned
    assert (face.points, face.pose) == (FACE.points, FACE.pose)


def test_text_is_carried_to_frames_that_detect_it_and_to_those_that_miss_it() -> None:
    carried = Carried()
    read = quad(lines=(line("EXIT"),))
    first, origins = carried.fill(frame("a", 0, quads=(read,)), 0.0)
    assert ([each.text for each in first.lines], origins) == (["EXIT"], ["read"])
    assert first.quads == ()
    seen, origins = carried.fill(frame("a", 1, quads=(quad(like=like(0, x=7.0)),)), 0.04)
    assert origins == ["carried"]
    assert seen.lines[0].quad[0] == seen.lines[0].words[0].quad[0] == (17.0, 10.0)
    missed = quad(like=like(0), detected=False)
    _, origins = carried.fill(frame("a", 2, quads=(missed,)), 0.08)
    assert origins == ["bridged"]
    again = replace(missed, lines=(line("EXIT"),), again=True)
    _, origins = carried.fill(frame("a", 3, quads=(again,)), 0.12)
    assert origins == ["reread"]


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [(0.6, 0.9, "GOV"), (0.9, 0.6, "OOV"), (0.9, None, "OOV")],
)
def test_of_two_readings_of_the_same_pixels_the_surer_one_counts(
    first: float, second: float | None, expected: str
) -> None:
    carried = Carried()
    once = replace(line("OOV"), score=first)
    carried.fill(frame("a", 0, quads=(quad(lines=(once,)),)), 0.0)
    more = () if second is None else (replace(line("GOV"), score=second),)
    again = quad(lines=more, like=like(0), again=True)
    filled, origins = carried.fill(frame("a", 1, quads=(again,)), 0.04)
    assert [each.text for each in filled.lines] == [expected]
    assert origins == ["read" if expected == "GOV" else "carried"]
    later, _ = carried.fill(frame("a", 2, quads=(quad(like=like(1)),)), 0.08)
    assert [each.text for each in later.lines] == [expected]


def test_regions_side_by_side_are_one_line_which_is_read_if_a_part_is() -> None:
    right = tuple((x + 85.0, y) for x, y in WIDE)
    carried = Carried()
    both = (quad(lines=(line("NO"),)), replace(quad(lines=(line("ENTRY", right),)), quad=right))
    carried.fill(frame("a", 0, quads=both), 0.0)
    again = (quad(like=like(0)), both[1])
    filled, origins = carried.fill(frame("a", 1, quads=again), 0.04)
    assert [each.text for each in filled.lines] == ["NO ENTRY"]
    assert origins == ["read"]


def test_of_a_frame_that_failed_nothing_is_carried_over() -> None:
    filled, origins = Carried().fill(
        frame("a", 9, faces=(replace(FACE, like=like(8)),), quads=(quad(like=like(8)),)), 0.4
    )
    assert filled.faces[0].landmarks == ()
    assert (filled.lines, origins) == ((), [])


def test_results_are_kept_while_frames_refer_to_them() -> None:
    carried = Carried()
    carried.fill(frame("a", 0, quads=(quad(lines=(line("OPEN"),)),)), 0.0)
    for index in range(1, 10):
        time = index * KEPT_SECONDS * 0.9
        filled, _ = carried.fill(frame("a", index, quads=(quad(like=like(0)),)), time)
        assert [each.text for each in filled.lines] == ["OPEN"]
    carried.fill(frame("a", 10), 10 * KEPT_SECONDS * 1.1)
    assert carried.kept == {}


def test_another_epoch_counts_its_frames_anew() -> None:
    carried = Carried()
    carried.fill(frame("a", 0, quads=(quad(lines=(line("OPEN"),)),)), 0.0)
    other = frame("a", 1, epoch="another", quads=(quad(like=like(0)),))
    assert carried.fill(other, 0.04)[0].lines == ()


def test_a_face_belongs_to_the_track_of_the_one_it_is_like() -> None:
    carried, tracker = Carried(), FaceTracker(confirm=0.5, absence=10.0)
    carried.fill(frame("a", 0, faces=(MESHED, MESHED)), 0.0)
    [track] = tracker.update(0.0, [Detected(MESHED.box)], lambda one, other: 0.0, str)
    carried.follow(0, [None, track])
    assert carried.track(replace(FACE, like=like(0, 1))) == 0
    assert carried.track(replace(FACE, like=like(0, 0))) is None
    assert carried.track(FACE) is None


def test_results_of_a_cropped_part_are_moved_to_their_place_in_the_image() -> None:
    def square(x: float, y: float) -> tuple[tuple[float, float], ...]:
        return ((x, y), (x + 1, y), (x + 1, y + 1), (x, y + 1))

    def found(x: float, y: float, origin: tuple[int, int]) -> Any:
        corners: Any = square(x, y)
        face = Face(
            box=(x, y, x + 1, y + 1),
            score=1.0,
            points=(*corners, (x, y)),
            pose=Pose(roll=0.0, yaw=0.0, pitch=0.0),
            quality=Quality(brightness=0.0, sharpness=0.0),
            landmarks=corners,
        )
        word = Word(text="a", score=1.0, quad=corners)
        line = TextLine(text="a", score=1.0, quad=corners, words=(word,))
        return replace(frame("a", 0), faces=(face,), lines=(line,), origin=origin)

    assert placed(found(3.0, 4.0, (100, 50))) == found(103.0, 54.0, (100, 50))
    assert placed(found(3.0, 4.0, (0, 0))) == found(3.0, 4.0, (0, 0))
