"""The tracks of one stream, frame by frame."""

from typing import Any

import msgspec
import numpy as np
import pytest
from msgspec.structs import replace
from tests.support.appearances import match
from tests.support.frame_records import FACE
from tests.support.frames import frame

from onlooker.config.tracking import Tracks
from onlooker.media.picture import Still
from onlooker.track.gallery import Vector
from onlooker.track.stream_tracks import StreamTracks, begin, single
from onlooker.types import Face, Frame, Identity, Quality, TextLine, TextQuad, Word

BLANK = Still(np.zeros((360, 640, 3), np.uint8))
WHITE = Still(np.full((360, 640, 3), 255, np.uint8))
ANNA = np.array([1, 0, 0], np.float32)
BERT = np.array([0, 1, 0], np.float32)


def likeness(one: Vector, other: Vector) -> float:
    return 99.0 if float(one @ other) > 0.5 else 0.01


def search(vectors: Vector) -> list[tuple[Identity, ...]]:
    return [(match("anna"),) if one[0] > 0.9 else () for one in vectors]


def face(vector: Vector, x: float = 0.0) -> Face:
    x1, y1, x2, y2 = FACE.box
    return replace(FACE, box=(x1 + x, y1, x2 + x, y2), vector=vector.tobytes())


def sign(text: str) -> TextQuad:
    quad = ((100.0, 40.0), (300.0, 40.0), (300.0, 70.0), (100.0, 70.0))
    line = TextLine(text=text, score=0.9, quad=quad, words=(Word(text=text, score=0.9, quad=quad),))
    return TextQuad(quad=quad, score=0.9, lines=(line,))


def shown(index: int, *faces: Face, **more: Any) -> Frame:
    return frame("door", index, width=640, height=360, faces=faces, **more)


def take(tracks: StreamTracks, made: Frame, picture: Still = BLANK) -> Frame:
    return tracks.take(made, picture, f"record-{made.index}", search, likeness)


def events(frames: list[Frame]) -> list[tuple[str, str | None]]:
    return [(event.state, event.person) for each in frames for event in each.appearances]


@pytest.fixture
def tracks() -> StreamTracks:
    return begin(Tracks())


def test_a_visit_from_its_first_frame_to_the_last_of_the_video(tracks: StreamTracks) -> None:
    frames = [take(tracks, shown(index, face(ANNA))) for index in range(29)]
    frames.append(take(tracks, shown(29, face(ANNA), last=True)))
    assert events(frames) == [("new", "anna"), ("end", "anna")]
    assert len({each.faces[0].track.id for each in frames if each.faces[0].track}) == 1
    last = frames[-1].appearances[0]
    assert (last.start, last.end, last.frames) == (0.0, 29 / 25, 30)


def test_the_vector_ends_here_and_the_match_is_that_of_the_mean(tracks: StreamTracks) -> None:
    first = take(tracks, shown(0, face(ANNA)))
    mixed = np.array([0.6, 0.8, 0], np.float32)  # by itself, nobody
    second = take(tracks, shown(10, face(mixed)))
    [one], [other] = first.faces, second.faces
    assert one.vector is None
    assert other.vector is None
    assert [i.face.external_image_id for i in one.identities] == ["anna"]
    assert search(mixed[None]) == [()]
    mean = (ANNA + mixed) / np.linalg.norm(ANNA + mixed)
    assert bool(other.identities) == (mean[0] > 0.9)


def test_time_decides_and_not_the_number_of_frames(tracks: StreamTracks) -> None:
    seen = [take(tracks, shown(index, face(ANNA))) for index in range(0, 50, 10)]
    away = [take(tracks, shown(index)) for index in range(50, 25 * 15, 25)]
    assert events(seen) == [("new", "anna")]
    assert events(away) == [("end", "anna")]
    [end] = [event for each in away for event in each.appearances]
    assert end.end == 40 / 25


def test_a_frame_that_failed_ends_nothing(tracks: StreamTracks) -> None:
    for index in range(20):
        take(tracks, shown(index, face(ANNA)))
    failed = take(tracks, shown(20, error="lost"))
    again = take(tracks, shown(21, face(ANNA)))
    assert failed.appearances == again.appearances == ()


def test_frames_that_repeat_another_continue_its_tracks(tracks: StreamTracks) -> None:
    for index in range(20):
        take(tracks, shown(index, face(ANNA)))
    same = [take(tracks, shown(index, same=19)) for index in range(20, 25 * 70, 25)]
    assert [state for state, _ in events(same)] == ["update"]
    assert tracks.faces.tracks[0].last == same[-1].time


def test_a_frame_may_repeat_one_that_is_not_the_last(tracks: StreamTracks) -> None:
    """A camera's reference frame is repeated while later frames are still being analysed."""
    for index in range(20):
        take(tracks, shown(index, face(ANNA)))
    take(tracks, shown(20, face(BERT, 300.0)))
    take(tracks, shown(21, same=19))
    anna, bert = tracks.faces.tracks
    assert (anna.last, bert.last) == (21 / 25, 20 / 25)


@pytest.mark.parametrize("cut", [True, False])
def test_after_a_cut_a_face_at_the_same_place_is_another(tracks: StreamTracks, cut: bool) -> None:
    blurred = replace(face(BERT), quality=Quality(brightness=50, sharpness=42))
    for index in range(20):
        take(tracks, shown(index, face(ANNA)))
    found = take(tracks, shown(20, blurred, cut=cut))
    [track] = [each.track for each in found.faces]
    assert track is not None
    assert track.number == int(cut)


def test_a_face_that_is_unlike_its_track_for_a_moment_is_not_its_best(tracks: StreamTracks) -> None:
    fair = Quality(brightness=50, sharpness=75)
    for index in range(20):
        take(tracks, shown(index, replace(face(ANNA), quality=fair)))
    odd = take(tracks, shown(20, face(BERT)))
    last = take(tracks, shown(21, replace(face(ANNA), quality=fair), last=True))
    assert len({each.track.id for found in (odd, last) for each in found.faces if each.track}) == 1
    [end] = last.appearances
    assert (end.person, end.frames) == ("anna", 22)
    assert end.best.record_id != "record-20"


def test_the_state_is_all_there_is(tracks: StreamTracks) -> None:
    """A process that decodes the state after any frame goes on in the same way."""
    quads = (sign("EXIT"),)
    made = [
        shown(
            index,
            *([] if index % 9 == 4 else [face(ANNA, 2 * index), face(BERT, 300 - index)]),
            quads=quads if 5 < index % 30 < 20 else (),
            pts=index * (1 if index < 20 else 8),
        )
        for index in range(60)
    ]
    pictures = [BLANK if each.quads else WHITE for each in made]
    expected = [take(tracks, *each) for each in zip(made, pictures, strict=True)]
    state = msgspec.msgpack.encode(begin(Tracks()))
    for each, picture, known in zip(made, pictures, expected, strict=True):
        other = msgspec.msgpack.decode(state, type=StreamTracks)
        assert take(other, each, picture) == known
        state = msgspec.msgpack.encode(other)
    assert {event.state for each in expected for event in each.readings} == {"new", "end"}


def test_faces_that_are_not_followed_are_matched_one_by_one() -> None:
    [anna, bert, unsure] = single([face(ANNA), face(BERT), FACE], search)
    assert [i.face.external_image_id for i in anna.identities] == ["anna"]
    assert bert.identities == unsure.identities == ()
    assert anna.vector is None


def kept(frames: list[Frame]) -> dict[str, bytes]:
    """The images of faces that a log would have after these frames."""
    images: dict[str, bytes] = {}
    for chip in (chip for each in frames for chip in each.chips):
        old = images.pop(chip.track, b"")
        if chip.jpeg is not None:
            images[chip.track] = chip.jpeg
        elif chip.heir is not None:
            images[chip.heir] = old
    return images


def with_chips(tracks: StreamTracks, made: Frame) -> Frame:
    return tracks.take(made, BLANK, f"record-{made.index}", search, likeness, chips=True)


def test_an_appearance_has_an_image_and_a_glimpse_has_none(tracks: StreamTracks) -> None:
    glimpse = [with_chips(tracks, shown(0, face(BERT, 300)))]
    assert len(kept(glimpse)) == 1
    frames = [with_chips(tracks, shown(index, face(ANNA))) for index in range(1, 60)]
    frames.append(with_chips(tracks, shown(60, face(ANNA), last=True)))
    [event] = [event for event in frames[-1].appearances if event.state == "end"]
    images = kept(glimpse + frames)
    assert list(images) == [event.id]
    assert images[event.id].startswith(b"\xff\xd8")


def test_without_the_setting_no_image_is_made(tracks: StreamTracks) -> None:
    frames = [take(tracks, shown(index, face(ANNA))) for index in range(20)]
    assert kept(frames) == {}


def test_who_comes_back_elsewhere_continues_the_visit_and_its_image(tracks: StreamTracks) -> None:
    poor = replace(face(ANNA), quality=Quality(brightness=50, sharpness=60))
    away = [with_chips(tracks, shown(index, poor)) for index in range(25)]
    [visit] = kept(away)
    for index in range(25, 100):
        with_chips(tracks, shown(index))
    better = face(ANNA, 200)
    first = with_chips(tracks, shown(100, replace(better, vector=None)))
    back = [first, *(with_chips(tracks, shown(index, better)) for index in range(101, 150))]
    assert [chip.heir for each in back for chip in each.chips if chip.heir] == [visit]
    assert list(kept(away + back)) == [visit]
    assert list(tracks.visits.visits) == [visit]
    end = with_chips(tracks, shown(150, better, last=True)).appearances[-1]
    assert (end.id, end.frames) == (visit, 25 + 51)
    assert end.best.record_id == "record-100"


def test_a_line_has_an_image_from_each_event_about_it(tracks: StreamTracks) -> None:
    quads = (sign("EXIT"),)
    frames = [
        with_chips(tracks, replace(shown(index), quads=quads, last=index == 19))
        for index in range(20)
    ]
    events = [event for each in frames for event in each.readings]
    assert [event.state for event in events] == ["new", "end"]
    assert set(kept(frames)) == {events[0].id}
    assert sum(len(each.chips) for each in frames) == 1
    without = begin(Tracks())
    assert not any(take(without, replace(shown(i), quads=quads)).chips for i in range(20))
