"""People whom the collection of `[match]` does not know, each with an id that stays.

An appearance that has ended joins the person whom it is most like, or is a new unknown person, or
belongs to nobody if its images are too poor. It is assigned once and never moved without being
asked. The people are users of a collection, their appearances its faces: AssociateFaces and the
other operations of the API work on them. Every change is in the journal and can be undone.
"""

import hashlib
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal, Self

import msgspec
import numpy as np

from onlooker.identity.database import JOURNAL
from onlooker.identity.errors import (
    CollectionExists,
    CollectionNotFound,
    StoreError,
    TooMany,
    UserExists,
    UserNotFound,
)
from onlooker.identity.faces import NewFace, Vectors
from onlooker.identity.people.journal import Journal
from onlooker.identity.people.person_changes import (
    Change,
    LoggedChange,
    Move,
    Receipt,
    Suggestion,
    Visitor,
)
from onlooker.identity.search.engines import check_collection, open_searcher
from onlooker.identity.search.searcher import Searcher
from onlooker.identity.search.similarity import likeness
from onlooker.identity.store import default_path
from onlooker.models.card import Space
from onlooker.types import Identity, StoredFace

COLLECTION = "_unknown"
"""The collection of the people; its name begins with "_" so that no list of one's own has it."""
SAME = 90.0
"""Similarity, as a mean over the best links, from which two appearances are of one person."""
LINKS = 3
"""Links of an appearance to a person that count: a single one would chain relatives together."""
FEWER_LINKS = 2.5
"""Similarity by which the mean must be higher for each link that a person cannot have yet: of a
brother and a sister in two photographs each, one pair in a hundred reaches 91."""
MIN_LINK = 50.0
"""Links below this count as this."""
MAX_LINKS = 100
"""Nearest faces that are compared."""
MIN_CLARITY, MIN_FRAMES = 20.0, 3
"""Minimum clarity and number of frames of an appearance that becomes a new person."""
MAX_VECTORS = 30
"""Faces kept of one person; further appearances join without."""
ALIKE = 70.0
"""Similarity of two people from which `suggest` names them."""


class People:
    """The people of a collection and their journal. Raises StoreError, as all methods do."""

    def __init__(self, searcher: Searcher, journal: Journal) -> None:
        self._searcher = searcher
        self.journal = journal
        try:
            searcher.collection(COLLECTION)
        except CollectionNotFound:
            with suppress(CollectionExists):  # another process may be faster
                searcher.create_collection(COLLECTION)
        self._apply_pending()

    def prepare(self) -> None:
        """Load what the first search needs."""
        self._searcher.prepare(COLLECTION)

    def close(self) -> None:
        self.journal.close()
        self._searcher.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Assignment

    def join(self, visitor: Visitor) -> str | None:
        """Assign an appearance, once; return whose it is, or None for nobody.

        Processes that join at the same time wait for each other: somebody whom two cameras see for
        the first time gets one id.
        """
        if self.journal.knows(visitor.appearance):
            return self.journal.person_of(visitor.appearance)
        with self.journal.transaction():
            self._settle()
            if not self.journal.knows(visitor.appearance):
                self._assign(visitor, *self._alike(visitor))
        self._apply_pending()
        return self.journal.person_of(visitor.appearance)

    def recognise(self, visitor: Visitor, record: str) -> str | None:
        """Return whom an appearance that still goes on seems to be, or None; assign nothing.

        record: RecordId of the event that will say so. The answer for it stands: a frame that is
        processed again after a kill gets the same one.
        """
        if (known := self.journal.recognised(visitor.appearance, record)) is None:
            with self.journal.transaction():
                self._settle()
                known = self.journal.recognised(visitor.appearance, record)
                if known is None:
                    known = (self._alike(visitor)[0],)
                    self.journal.recognise(visitor.appearance, record, known[0])
        return None if known[0] is None else self.journal.resolve(known[0])

    def _alike(self, visitor: Visitor) -> tuple[str | None, float | None]:
        """Return the person whom an appearance joins, and the Similarity; None for a new one."""
        found = self._nearest(visitor)
        links: dict[str, list[Identity]] = defaultdict(list)
        for identity in found:
            if identity.face.user_id is not None:
                links[identity.face.user_id].append(identity)
        barred = self._barred(visitor, found, links)
        means = {
            person: _mean(own, self.journal.faces(person))
            for person, own in links.items()
            if person not in barred
        }
        person = max(means, key=lambda each: (means[each], each), default=None)
        if person is None:
            return None, None
        missing = max(0, LINKS - self.journal.faces(person))
        joins = means[person] >= SAME + FEWER_LINKS * missing
        return (person, means[person]) if joins else (None, None)

    def _nearest(self, visitor: Visitor) -> tuple[Identity, ...]:
        """Return the most similar faces, best first."""
        vector = np.frombuffer(visitor.vector, np.float32)
        [found] = self._searcher.search_faces(COLLECTION, vector[None], MIN_LINK, MAX_LINKS)
        return found

    def _barred(
        self, visitor: Visitor, found: Sequence[Identity], links: Mapping[str, list[Identity]]
    ) -> set[str]:
        """Return the people whose the appearance cannot be.

        Those who were in an image at the same time; and those of whom it is known that an
        appearance is not theirs that is more like this one than their own.
        """
        barred = {
            person
            for each in visitor.together
            if (person := self.journal.person_of(each)) is not None
        }
        nearest = {identity.face.external_image_id or "": identity.similarity for identity in found}
        for person, identities in links.items():
            refused = [nearest.get(each, 0.0) for each in self.journal.refused(person)]
            if refused and max(refused) >= max(SAME, identities[0].similarity):
                barred.add(person)
        return barred

    def _assign(self, visitor: Visitor, person: str | None, similarity: float | None) -> None:
        """Record whose an appearance is; without a person it is a new one's if it is clear enough.

        The number of a new person is taken in the transaction of its first appearance: a process
        that is killed before leaves no gap.
        """
        poor = visitor.clarity < MIN_CLARITY or visitor.frames < MIN_FRAMES
        if person is None and not poor:
            person = f"unknown-{self.journal.next_id():06d}"
        full = person is not None and self.journal.faces(person) >= MAX_VECTORS
        face_id = None
        if person is not None and not full:
            [face] = self._searcher.add(COLLECTION, [_face(visitor)])
            face_id = face.face_id
        change = Change(
            kind="unassigned" if person is None else "join",
            person=person,
            similarity=similarity,
            moves=(Move(visitor.appearance, face_id, None, person),),
        )
        self.journal.add(visitor, face_id)
        self.journal.record(change)

    # Changes by people

    def name(self, person: str, name: str) -> None:
        """Give a person a name; if there is one of that name already, they become one."""
        self._move_all(person, name, "name")

    def merge(self, person: str, target: str) -> None:
        """Make two people one; the id of the first stands for the second from now on."""
        if not self.journal.visitors(self.journal.resolve(target)):
            raise StoreError(f"no person {target!r} is known; `onlooker people list` has them all")
        self._move_all(person, self.journal.resolve(target), "merge")

    def split(self, person: str, appearances: Sequence[str]) -> str:
        """Make these appearances of a person a new person, and return its id."""
        person = self.known(person)
        moves = self._moves(person, appearances)
        if len(moves) == len(self.journal.visitors(person)):
            raise StoreError(f"these are all appearances of {person}; nothing would be left")
        with self.journal.transaction():
            made = f"unknown-{self.journal.next_id():06d}"
            self.journal.record(
                Change(
                    kind="split",
                    person=made,
                    other=person,
                    moves=tuple(msgspec.structs.replace(move, after=made) for move in moves),
                    refusals=tuple((each, person) for each in appearances),
                )
            )
        self._apply_pending()
        return made

    def refuse(self, person: str, appearance: str) -> None:
        """Note that an appearance is not this person's; if it is so far, it is nobody's then."""
        person = self.known(person)
        if not self.journal.knows(appearance):
            raise StoreError(f"no appearance {appearance!r} is known")
        own = self.journal.person_of(appearance) == person
        moves = self._moves(person, [appearance]) if own else ()
        with self.journal.transaction():
            self.journal.record(
                Change(kind="not", other=person, moves=moves, refusals=((appearance, person),))
            )
        self._apply_pending()

    def undo(self, number: int) -> LoggedChange:
        """Undo a change. Raises StoreError if appearances of it have moved on since."""
        logged = self.journal.change(number)
        if logged is None or logged.undone is not None or logged.change.kind == "forgotten":
            raise StoreError(f"there is no change {number} that could be undone")
        for move in logged.change.moves:
            now = self.journal.person_of(move.appearance)
            if now != move.after:
                raise StoreError(
                    f"appearance {move.appearance} belongs to {now or 'nobody'} now; undo the "
                    "later changes first"
                )
        if (hides := logged.change.hides) is not None:
            person = logged.change.person or ""
            if self.journal.is_hidden(person) != hides:
                raise StoreError(f"{person} is not {'hidden' if hides else 'shown'} any more")
        with self.journal.transaction():
            self.journal.undo(number)
        self._apply_pending()
        return logged

    def hide(self, person: str, hidden: bool = True) -> None:
        """Leave a person out of lists, or no longer."""
        person = self.known(person)
        with self.journal.transaction():
            if self.journal.is_hidden(person) != hidden:
                self.journal.record(Change(kind="hide" if hidden else "show", person=person))
        self._apply_pending()

    def forget(self, person: str) -> Receipt:
        """Erase a person: all vectors, appearances and the id's user."""
        person = self.known(person)
        faces = [face.face_id for face in self._faces(person)]
        if faces:
            self._searcher.disassociate(COLLECTION, person, faces)
            self._searcher.delete_faces(COLLECTION, faces)
        with suppress(UserNotFound):
            self._searcher.delete_user(COLLECTION, person)
        with self.journal.transaction():
            number = self.journal.forget(person)
        digest = hashlib.sha256("\n".join(sorted(faces)).encode()).hexdigest()
        return Receipt(
            person=person,
            time=time.time(),
            appearances=number,
            faces=len(faces),
            face_ids_sha256=digest,
        )

    def suggest(self, threshold: float = ALIKE) -> list[Suggestion]:
        """Return pairs of people who are alike, most alike first; nothing is joined.

        Pairs of whom it is known that they are two people are left out.
        """
        found: dict[tuple[str, str], float] = {}
        for person, _, _, hidden in self.journal.people():
            vector = self._vector(person)
            if hidden or vector is None:
                continue
            if self._searcher.space.calibration.metric == "cosine":
                vector = vector / np.linalg.norm(vector)  # a mean of unit vectors is shorter
            [matches] = self._searcher.search_users(COLLECTION, vector[None], threshold, 10)
            for match in matches:
                other = match.user.user_id
                if other != person:
                    pair = min(person, other), max(person, other)
                    found[pair] = max(found.get(pair, 0.0), match.similarity)
        ranked = sorted(found.items(), key=lambda item: (-item[1], item[0]))
        return [
            Suggestion(person=a, other=b, similarity=value)
            for (a, b), value in ranked
            if not self.journal.are_two(a, b)
        ]

    def similarity(self, person: str, other: str) -> float | None:
        """Return the Similarity of the means of two people's vectors; None if one has none kept."""
        first, second = self._vector(person), self._vector(other)
        if first is None or second is None:
            return None
        return likeness(self._searcher.space)(first, second)

    def _vector(self, person: str) -> Vectors | None:
        """Return the mean of a person's vectors; None if none of them is kept."""
        try:
            return self._searcher.user_vector(COLLECTION, person)
        except UserNotFound:  # none of the appearances was kept with its vector
            return None

    # Application

    def _apply_pending(self) -> None:
        """Apply what is recorded and not applied yet, whichever process recorded it."""
        if self.journal.pending():
            with self.journal.transaction():
                self._settle()

    def _settle(self) -> None:
        """Do the same inside a transaction, so that two processes never apply the same change."""
        for number, change, undone in self.journal.pending():
            moves = [
                Move(move.appearance, move.face_id, move.after, move.before) if undone else move
                for move in change.moves
            ]
            self._move_faces(moves)
            for move in moves:
                self.journal.give(move.appearance, move.after)
            self.journal.apply(number, change, undone)

    def _move_faces(self, moves: Sequence[Move]) -> None:
        for move in moves:
            if move.face_id is None:
                continue
            if move.before is not None:
                self._searcher.disassociate(COLLECTION, move.before, [move.face_id])
            if move.after is not None:
                self._ensure(move.after)
                try:
                    self._searcher.associate(COLLECTION, move.after, [move.face_id], 0.0)
                except TooMany:
                    continue  # the person has enough; the journal says whose the appearance is

    def _ensure(self, person: str) -> None:
        try:
            self._searcher.create_user(COLLECTION, person)
        except UserExists:
            return

    def _move_all(self, person: str, target: str, kind: Literal["name", "merge"]) -> None:
        person = self.known(person)
        if person == target:
            raise StoreError(f"{person} is {target} already")
        appearances = [each.appearance for each in self.journal.visitors(person)]
        moves = self._moves(person, appearances)
        with self.journal.transaction():
            self.journal.record(
                Change(
                    kind=kind,
                    person=target,
                    other=person,
                    moves=tuple(msgspec.structs.replace(move, after=target) for move in moves),
                    redirect=(person, target),
                )
            )
        self._apply_pending()

    def _moves(self, person: str, appearances: Sequence[str]) -> tuple[Move, ...]:
        """Return the moves of these appearances away from a person. Raises StoreError."""
        for each in appearances:
            if self.journal.person_of(each) != person:
                raise StoreError(f"appearance {each!r} is not one of {person}")
        return tuple(Move(each, self.journal.face_of(each), person, None) for each in appearances)

    def known(self, person: str) -> str:
        """Return the id that a person has now. Raises StoreError if there is none."""
        now = self.journal.resolve(person)
        if not self.journal.visitors(now):
            raise StoreError(f"no person {person!r} is known; `onlooker people list` has them all")
        return now

    def _faces(self, person: str) -> Sequence[StoredFace]:
        try:
            return self._searcher.faces(COLLECTION, user_id=person).faces
        except UserNotFound:
            return ()


def are_people(space: Space, store: Path, url: str | None = None) -> bool:
    """Return whether `open_people` would find any, or the place for them. Raises StoreError."""
    if url is None:
        return store.with_name(JOURNAL).exists()
    with suppress(CollectionNotFound):
        check_collection(store, space, COLLECTION, url)
        return True
    return False


def open_people(space: Space, store: Path | None = None, url: str | None = None) -> People:
    """Open the people of a store of collections, as `open_searcher` has it. Raises StoreError.

    store: None means the user's own. The journal is beside the file, or in the database at `url`.
    """
    path = default_path() if store is None else store
    searcher = open_searcher(path, space, url)
    try:
        return People(searcher, Journal(path.with_name(JOURNAL), url))
    except BaseException:
        searcher.close()
        raise


def _mean(identities: Sequence[Identity], faces: int) -> float:
    """Return the mean of the best LINKS, or of fewer if the person has fewer faces.

    identities: the links of at least MIN_LINK, best first; others count as that. faces: number of
    the person's.
    """
    best = [identity.similarity for identity in identities[:LINKS]]
    others = max(0, min(LINKS, faces) - len(best))
    return (sum(best) + others * MIN_LINK) / (len(best) + others)


def _face(visitor: Visitor) -> NewFace:
    return NewFace(
        picture=visitor.appearance.encode(),
        external_image_id=visitor.appearance,
        box=(0.0, 0.0, 1.0, 1.0),
        confidence=visitor.clarity,
        vector=np.frombuffer(visitor.vector, np.float32),
    )
