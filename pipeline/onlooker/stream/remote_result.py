"""The check of what workers of other machines answer: findings about the very frame that was lent.

The findings are believed, but nothing else: that the answer is about the frame, that it changes
nothing of what others have said about it, and that later stages can work on it is checked.
"""

import math

import msgspec
from msgspec.structs import replace

from onlooker.stream import messages
from onlooker.stream.messages import MessageError
from onlooker.types import Frame

MAX_FACES = 1000
"""Faces of a frame; a detector returns a tenth of that at most."""
MAX_REGIONS = 10_000
"""Regions or lines of text of a frame; a detector returns a tenth of that at most."""
MAX_NUMBER = 1e7
"""Largest number in a finding. The largest of ours are pixels: an image has 65,536 in a row."""
MAX_CAUSE = 2000
"""Characters of an error that are kept."""

FINDINGS = "faces", "quads", "lines"
"""The fields of a frame that stages without order set."""


def checked(result: messages.Result, lent: bytes, answered: bytes, vector_bytes: int) -> bytes:
    """Return the frame that the result is about, with its findings.

    lent, answered: the frame as the worker got it, and as it came back. vector_bytes: size of an
    embedding. Raises MessageError if the answer is not one to that frame.
    """
    times = result.busy, result.model, result.cpu
    _require(all(math.isfinite(each) and each >= 0 for each in times), "invalid times")
    if result.failed is not None:
        return lent
    before, after = messages.unpack_frame(lent), messages.unpack_frame(answered)
    _require(_without_findings(after) == _without_findings(before), "another frame")
    # A small image, for one, is searched as usual when a finer search was asked for.
    _require(after.text in (before.text, "usual"), "another search for text")
    _require(_known(after) == _known(before), "other references to earlier frames")
    _require(len(after.faces) <= MAX_FACES, f"{len(after.faces)} faces")
    _require(len(after.quads) <= MAX_REGIONS, f"{len(after.quads)} regions of text")
    _require(len(after.lines) <= MAX_REGIONS, f"{len(after.lines)} lines of text")
    for face in after.faces:
        _require(not face.identities and face.track is None, "a person's name")
        size = vector_bytes if face.vector is None else len(face.vector)
        _require(size == vector_bytes, f"an embedding of {size} bytes")
    _require(not any(line.track for line in after.lines), "a line's track")
    found = msgspec.msgpack.decode(answered)
    _require(_bounded([found.get(name) for name in FINDINGS]), "a number out of all bounds")
    return answered


def _require(true: bool, otherwise: str) -> None:
    if not true:
        raise MessageError(f"an answer with {otherwise}")


def _without_findings(frame: Frame) -> Frame:
    return replace(frame, text="usual", **dict.fromkeys(FINDINGS, ()))


def _known(frame: Frame) -> list[object]:
    """Return the place and the content of all faces and regions that earlier frames have."""
    faces = [(n, face) for n, face in enumerate(frame.faces) if face.like is not None]
    quads = [
        (n, quad if quad.known else (quad.like, quad.again))  # read again: its lines are new
        for n, quad in enumerate(frame.quads)
        if quad.like is not None
    ]
    return [*faces, *quads]


def _bounded(value: object) -> bool:
    """Return whether all floats in a value that msgpack gives are numbers of a usual size."""
    if isinstance(value, float):
        return -MAX_NUMBER <= value <= MAX_NUMBER  # not so a NaN
    if isinstance(value, list):
        return all(map(_bounded, value))
    if isinstance(value, dict):
        return all(map(_bounded, value.values()))
    return True
