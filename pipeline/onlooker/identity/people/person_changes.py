"""Changes to people as values: each holds all that is needed to do and to undo it."""

from collections.abc import Set
from typing import Literal

import msgspec

Kind = Literal["join", "unassigned", "merge", "split", "name", "not", "hide", "show", "forgotten"]


class Visitor(msgspec.Struct, frozen=True, kw_only=True):
    """The appearance of somebody whom the collection of `[match]` does not know."""

    appearance: str
    stream: str
    start: float
    end: float
    """Seconds of the video, or since 1970 if the stream is live."""
    frames: int
    clarity: float
    """How much its best image shows of the face, 0 to 100."""
    together: tuple[str, ...] = ()
    """Appearances of others who were in an image at the same time."""
    vector: bytes
    """Mean embedding, float32, of the space of the people's collection."""


class Move(msgspec.Struct, frozen=True):
    """An appearance that goes from one person to another; None stands for nobody."""

    appearance: str
    face_id: str | None
    """The stored face of the appearance; None if its vector is not kept."""
    before: str | None
    after: str | None


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One change. Undoing it moves the appearances back, and drops its refusals and redirect."""

    kind: Kind
    person: str | None = None
    """The owner of the appearances afterwards; who is hidden, or shown again."""
    other: str | None = None
    """Their owner before."""
    similarity: float | None = None
    """Of a join: mean of the best links."""
    moves: tuple[Move, ...] = ()
    refusals: tuple[tuple[str, str], ...] = ()
    """Pairs of an appearance and a person whose it is not."""
    redirect: tuple[str, str] | None = None
    """An id, and the one that it stands for from now on."""

    @property
    def hides(self) -> bool | None:
        """Whether it hides the person, or shows it again; None if it does neither."""
        return {"hide": True, "show": False}.get(self.kind)


class LoggedChange(msgspec.Struct, frozen=True, kw_only=True):
    """A change as it was recorded."""

    number: int
    time: float
    change: Change
    undone: float | None = None
    """When it was undone; None if it stands."""


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """The record of the erasure of a person."""

    person: str
    time: float
    appearances: int
    faces: int
    face_ids_sha256: str
    """Of the erased FaceIds, sorted, one a line."""


class Suggestion(msgspec.Struct, frozen=True, kw_only=True):
    """Two people who may be one."""

    person: str
    other: str
    similarity: float


def without(change: Change, ids: Set[str], appearances: Set[str]) -> Change:
    """Return a change as it is once a person is forgotten: "forgotten" if it was of nobody else.

    ids: all that the person had. appearances: those that are removed. What moved from the person to
    another one moves from nobody then, so that undoing it brings nobody back.
    """

    def known(person: str | None) -> str | None:
        return None if person in ids else person

    moves = tuple(
        Move(each.appearance, each.face_id, known(each.before), known(each.after))
        for each in change.moves
        if each.appearance not in appearances and not (each.before in ids and each.after in ids)
    )
    refusals = tuple(
        pair for pair in change.refusals if pair[0] not in appearances and pair[1] not in ids
    )
    redirect = change.redirect
    if redirect is not None and not ids.isdisjoint(redirect):
        redirect = None
    left = msgspec.structs.replace(
        change,
        person=known(change.person),
        other=known(change.other),
        moves=moves,
        refusals=refusals,
        redirect=redirect,
    )
    if left != change and not (moves or refusals or redirect):
        return Change(kind="forgotten")
    return left
