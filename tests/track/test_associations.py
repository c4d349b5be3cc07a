"""What is known of a frame from earlier ones."""

from typing import Any

import msgspec
import numpy as np
import pytest
from msgspec.structs import replace
from tests.support.frame_records import FACE
from tests.support.frames import frame

from onlooker.media.picture import Still
from onlooker.track.associations import Associations
from onlooker.types import Frame, TextQuad, TextSearch

PICTURE = Still(np.random.default_rng(0).integers(0, 255, (360, 640, 3), dtype=np.uint8))
QUAD = TextQuad(quad=((40.0, 40.0), (140.0, 40.0), (140.0, 60.0), (40.0, 60.0)), score=0.9)


def shown(index: int, **more: Any) -> Frame:
    return frame("door", index, width=640, height=360, **more)


def test_a_frame_is_known_if_nothing_is_left_to_recognise() -> None:
    made = Associations()
    both: dict[str, Any] = {"faces": (FACE,), "quads": (QUAD,)}
    taken = [made.take(shown(index, **both), PICTURE) for index in range(3)]
    assert [each.known for each in taken] == [False, True, True]
    assert made.take(shown(3), PICTURE).known


def test_failed_and_repeated_frames_pass() -> None:
    made = Associations()
    for each in (shown(0, error="no"), shown(1, same=0)):
        assert made.take(each, PICTURE) == each


def test_a_cut_is_told() -> None:
    made = Associations()
    rows = np.linspace(0, 255, 360, dtype=np.uint8)[:, None, None]
    scene = np.ascontiguousarray(np.broadcast_to(rows, (360, 640, 3)))
    made.take(shown(0, faces=(FACE,)), Still(scene))
    cut = made.take(shown(1, faces=(FACE,)), Still(np.ascontiguousarray(scene[::-1])))
    assert cut.cut
    assert not cut.known


def test_a_frame_that_is_not_searched_has_the_faces_and_the_text_of_the_last_one() -> None:
    made = Associations()
    made.take(shown(0, faces=(FACE,), quads=(QUAD,)), PICTURE, carries=True)
    found = made.take(shown(1, carried=True), PICTURE, carries=True)
    assert found.known
    assert found.faces[0].box == pytest.approx(FACE.box, abs=0.5)
    assert [each.quad for each in found.quads] == [QUAD.quad]


@pytest.mark.parametrize(("text", "comes_back"), [("usual", True), ("none", False)])
def test_without_news_there_is_only_the_text_of_the_frame_before(
    text: TextSearch, comes_back: bool
) -> None:
    made, other = Associations(), PICTURE.bgr.copy()
    other[40:60] = other[140:160]
    made.take(shown(0, quads=(QUAD,)), PICTURE)
    [there] = made.take(shown(1, carried=True, text=text), PICTURE).quads
    assert (there.quad, there.detected) == (QUAD.quad, False)
    assert not made.take(shown(2, carried=True, text=text), Still(other)).quads
    again = made.take(shown(3, carried=True, text=text), PICTURE).quads
    assert bool(again) == comes_back


def test_nothing_is_carried_over_to_another_epoch() -> None:
    made = Associations()
    made.take(shown(0, faces=(FACE,)), PICTURE)
    assert not made.take(shown(1, faces=(FACE,), epoch="another"), PICTURE).known


def test_the_state_is_all_there_is() -> None:
    """A process that decodes the state after any frame goes on in the same way."""
    frames = [
        shown(index, faces=(replace(FACE, score=0.9 + index / 1000),), quads=(QUAD,))
        for index in range(30)
    ]
    made = Associations()
    expected = [made.take(each, PICTURE) for each in frames]
    state = msgspec.msgpack.encode(Associations())
    for each, known in zip(frames, expected, strict=True):
        other = msgspec.msgpack.decode(state, type=Associations)
        assert other.take(each, PICTURE) == known
        state = msgspec.msgpack.encode(other)
