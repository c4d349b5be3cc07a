"""The name of a track: whom its mean vector matches, kept until another one is clearly better.

One frame never changes a name. A stored face that matches better by a margin must do so for some
seconds, and a track that matches nobody for a while keeps its name.
"""

from collections.abc import Sequence

import msgspec

from onlooker.types import Identity, StoredFace

MARGIN = 2.0
"""Similarity by which another person must match better."""
EVIDENCE_SECONDS = 3.0
"""For how long another person must match better."""


class Naming(msgspec.Struct):
    """The person of a track so far.

    person: None means that nobody has matched yet. best: the match with the highest Similarity.
    challenger: who has matched better than `person` since the time `since`.
    """

    person: str | None = None
    best: Identity | None = None
    challenger: str | None = None
    since: float = 0.0

    def update(self, identities: Sequence[Identity], time: float) -> bool:
        """Take the matches of the track's mean at `time`, best first.

        Return whether the name changed.
        """
        if not identities or person(identities[0].face) == self.person:
            self.challenger = None
            if identities and (
                self.best is None or identities[0].similarity > self.best.similarity
            ):
                self.best = identities[0]
            return False
        first = identities[0]
        if self.person is not None and not self._convinced(identities, time):
            return False
        self.person, self.best, self.challenger = person(first.face), first, None
        return True

    def _convinced(self, identities: Sequence[Identity], time: float) -> bool:
        own = next((i.similarity for i in identities if person(i.face) == self.person), 0.0)
        if identities[0].similarity < own + MARGIN:
            self.challenger = None
            return False
        challenger = person(identities[0].face)
        if challenger != self.challenger:
            self.challenger, self.since = challenger, time
        return time - self.since >= EVIDENCE_SECONDS


def person(face: StoredFace) -> str:
    """Return whose face it is: its user, else its ExternalImageId, else its FaceId."""
    return face.user_id or face.external_image_id or face.face_id
