"""Answers of workers of other machines: findings pass, anything else does not."""

import math
from collections.abc import Callable

import pytest
from msgspec.structs import replace
from tests.support.frame_records import FACE
from tests.support.frames import frame

from onlooker.stream.messages import MessageError, Result, pack_frame
from onlooker.stream.remote_result import MAX_FACES, MAX_REGIONS, checked
from onlooker.types import Face, Frame, Identity, Like, StoredFace, TextLine, TextQuad, TrackRef

OK = Result(1, None, 1.0, 1.0, 1.0)
VECTOR = bytes(4 * 192)
CORNERS = ((0.0, 0.0), (9.0, 0.0), (9.0, 9.0), (0.0, 9.0))
QUAD = TextQuad(quad=CORNERS, score=0.9)
LINE = TextLine(text="EXIT", score=0.9, quad=CORNERS, words=())
LIKE = Like(frame=3, number=0, move=(1.0, 0.0, 0.0, 0.0))
KNOWN = replace(FACE, like=LIKE)
LENT = replace(
    frame("door", 4),
    started=1.8e9,  # a camera's frame
    faces=(FACE, KNOWN),
    quads=(QUAD, replace(QUAD, like=LIKE), replace(QUAD, like=LIKE, again=True)),
)


def answered(answer: Frame, result: Result = OK) -> bytes:
    return checked(result, pack_frame(LENT), pack_frame(answer), len(VECTOR))


def test_findings_pass() -> None:
    new, known, again = LENT.quads
    found = replace(
        LENT,
        faces=(replace(FACE, vector=VECTOR), KNOWN),
        quads=(replace(new, lines=(LINE,)), known, replace(again, lines=(LINE,))),
        lines=(LINE,),
    )
    assert answered(found) == pack_frame(found)


def test_a_finer_search_may_have_been_a_usual_one() -> None:
    lent = pack_frame(replace(LENT, text="finer"))
    assert checked(OK, lent, pack_frame(LENT), len(VECTOR)) == pack_frame(LENT)


def test_a_failed_frame_comes_back_as_it_was_lent() -> None:
    assert answered(frame("gate", 9), Result(1, "no", 1.0, 1.0, 1.0)) == pack_frame(LENT)


ME = Identity(
    similarity=99.0,
    face=StoredFace(
        face_id="f", image_id="i", external_image_id="ada", box=(0, 0, 1, 1), confidence=99.0
    ),
)


@pytest.mark.parametrize(
    "change",
    [
        lambda lent: replace(lent, index=5),
        lambda lent: replace(lent, feed=7),
        lambda lent: replace(lent, epoch="another"),
        lambda lent: replace(lent, states={"track": b"mine"}),
        lambda lent: replace(lent, last=True),
        lambda lent: replace(lent, text="none"),
        lambda lent: replace(lent, faces=(FACE,) * (MAX_FACES + 1)),
        lambda lent: replace(lent, faces=(FACE,)),
        lambda lent: replace(lent, faces=(FACE, replace(KNOWN, score=0.1))),
        lambda lent: replace(lent, faces=(KNOWN, FACE)),
        lambda lent: replace(lent, quads=lent.quads[:2]),
        lambda lent: replace(lent, quads=(*lent.quads, *[QUAD] * MAX_REGIONS)),
        lambda lent: replace(lent, lines=(LINE,) * (MAX_REGIONS + 1)),
        lambda lent: faced(lent, vector=VECTOR[1:]),
        lambda lent: faced(lent, box=(0.0, 0.0, math.nan, 1.0)),
        lambda lent: faced(lent, score=math.inf),
        lambda lent: faced(lent, box=(0.0, 0.0, 1e30, 1.0)),
        lambda lent: faced(lent, identities=(ME,)),
        lambda lent: faced(lent, track=TrackRef(id="t", number=0)),
    ],
)
def test_all_else_is_refused(change: Callable[[Frame], Frame]) -> None:
    with pytest.raises(MessageError, match="an answer with"):
        answered(change(LENT))


def faced(lent: Frame, **changes: object) -> Frame:
    first: Face = replace(lent.faces[0], **changes)
    return replace(lent, faces=(first, *lent.faces[1:]))


@pytest.mark.parametrize("seconds", [math.nan, math.inf, -1.0])
def test_times_are_times(seconds: float) -> None:
    with pytest.raises(MessageError, match="times"):
        answered(LENT, Result(1, None, 0.0, 0.0, seconds))
