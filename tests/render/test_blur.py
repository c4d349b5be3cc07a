"""Faces that cannot be recognised in a copy of a video."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from msgspec.structs import replace
from tests.support.appearances import match
from tests.support.frame_records import FACE
from tests.support.frames import frame
from tests.support.records import HEIGHT, WIDTH

from onlooker.config.schema import Config
from onlooker.media.video_file import VideoFile
from onlooker.media.video_writer import VideoWriter
from onlooker.record.frame_record import build
from onlooker.rekognition.shapes import BoundingBox, StreamRecord
from onlooker.render.annotate import annotate
from onlooker.render.blur import Blur, BlurError, Hidden, hidden, hide, parse
from onlooker.types import Face, TrackRef

BOX = BoundingBox(Left=0.4, Top=0.3, Width=0.2, Height=0.4)


def face(track: int | None = None, person: str | None = None, x: float = 0.0) -> Face:
    x1, y1, x2, y2 = FACE.box
    return replace(
        FACE,
        box=(x1 + x, y1, x2 + x, y2),
        identities=() if person is None else (match(person),),
        track=None if track is None else TrackRef(id=f"t{track}", number=track, person=person),
    )


def record(index: int, *faces: Face) -> StreamRecord:
    return build(frame("door", index, width=WIDTH, height=HEIGHT, faces=faces), Config(), "d")


def places(found: Sequence[Hidden]) -> list[list[float]]:
    """Return the left sides, in pixels, of what is hidden in each frame."""
    return [sorted({round(box.Left * WIDTH) for box in each.boxes}) for each in found]


@pytest.mark.parametrize(
    ("text", "anna", "bert", "nobody"),
    [
        ("all", True, True, True),
        ("unknown", False, False, True),
        ("except=anna", False, True, True),
        ("except=anna, bert", False, False, True),
    ],
)
def test_policies(text: str, anna: bool, bert: bool, nobody: bool) -> None:
    policy = parse(text)
    assert [policy.hides(name) for name in ("anna", "bert", None)] == [anna, bert, nobody]


def test_names_are_taken_as_they_are_written() -> None:
    assert not parse("except=Müller").hides("M:fc:ller")


@pytest.mark.parametrize("text", ["", "nobody", "except=", "except=anna,,bert", "anna"])
def test_other_policies_are_refused(text: str) -> None:
    with pytest.raises(BlurError, match="write all, unknown, or except"):
        parse(text)


def test_a_face_that_is_missed_for_a_moment_is_hidden_where_it_was() -> None:
    records = [record(0, face(0)), record(1), record(2), record(3, face(0, x=90.0)), record(40)]
    found = list(hidden(records, Blur()))
    assert [each.record for each in found] == records
    assert places(found) == [[64], [64], [154], [154], []]


def test_a_face_is_hidden_before_it_is_found() -> None:
    records = [record(index, *([face(0)] if index >= 50 else [])) for index in range(60)]
    found = places(list(hidden(records, Blur())))
    assert [bool(each) for each in found] == [index >= 25 for index in range(60)]


def test_the_name_of_the_track_counts_in_all_of_its_frames() -> None:
    records = [record(0, face(0)), record(1, face(0, "anna")), record(2, face(0))]
    assert places(list(hidden(records, Blur(known=True)))) == [[], [], []]
    assert places(list(hidden(records, parse("except=bert")))) == [[64]] * 3


def test_faces_without_a_track_go_by_their_own_match() -> None:
    [found] = hidden([record(0, face(person="anna"), face(x=200.0))], Blur(known=True))
    assert places([found]) == [[264]]
    assert found.faces == {1}


def test_what_is_hidden_has_lost_its_detail_and_the_rest_has_not() -> None:
    noise = np.random.default_rng(1).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
    image = noise.copy()
    hide(image, [BOX, BoundingBox(Left=1.5, Top=0, Width=0.1, Height=0.1)])
    x, y = int(0.5 * WIDTH), int(0.5 * HEIGHT)
    inside = image[y - 20 : y + 20, x - 20 : x + 20]
    assert cv2.Laplacian(inside, cv2.CV_64F).std() < 5
    assert (image[:, : WIDTH // 4] == noise[:, : WIDTH // 4]).all()


def test_a_frame_whose_faces_are_not_known_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    with VideoWriter(path, WIDTH, HEIGHT, 25) as writer:
        for index in range(4):
            writer.write(np.full((HEIGHT, WIDTH, 3), 128, np.uint8), index)
    with VideoFile(path) as source:
        times = [(known.index, known.pts) for known, _ in source.frames("video")]
    failed = frame("video", 1, "lost", pts=times[1][1], width=WIDTH, height=HEIGHT)
    records = [
        build(frame("video", 0, pts=times[0][1], width=WIDTH, height=HEIGHT), Config(), "d"),
        build(failed, Config(), "d"),
        build(frame("video", 3, pts=times[3][1], width=WIDTH, height=HEIGHT), Config(), "d"),
    ]
    annotate(path, records, tmp_path / "out.mp4", Blur())
    with VideoFile(tmp_path / "out.mp4") as copy:
        assert len(list(copy.frames("video"))) == 2
