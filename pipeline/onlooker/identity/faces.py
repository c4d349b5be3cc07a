"""Collections, faces and users as values, and the checks of what comes in."""

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from onlooker.escape import PEOPLE, STREAMS
from onlooker.identity.errors import InvalidName
from onlooker.types import Box, StoredFace

Vectors: TypeAlias = NDArray[np.float32]
"""(n, dim) embeddings, one face or user a row; (dim,) where the text says so."""
Method: TypeAlias = Literal["auto", "exact", "annoy"]
"""How a collection is searched: see `onlooker.identity.search.index`."""
Metric: TypeAlias = Literal["cosine", "euclidean"]
"""How two vectors are compared: by the cosine, or by the Euclidean distance."""
Kind: TypeAlias = Literal["faces", "users"]
"""What a search compares with: each face, or the mean of each user's faces."""
KINDS: tuple[Kind, ...] = ("faces", "users")
Reason: TypeAlias = Literal[
    "FACE_NOT_FOUND",
    "ASSOCIATED_TO_AN_EXISTING_USER",
    "ASSOCIATED_TO_A_DIFFERENT_USER",
    "LOW_MATCH_CONFIDENCE",
]
Status: TypeAlias = Literal["CREATED", "ACTIVE"]
"""A user without faces, which no search finds, and one with faces. Amazon's other states are
transitions, which last for no time here."""

MAX_FACES = 20_000_000
"""Faces in a collection."""
MAX_USER_FACES = 100
MAX_TAGS = 200
FACES_PER_PAGE = 4096
"""Default size of a page of collections or faces, and of a search's answer."""
USERS_PER_PAGE = 500
"""Default size of a page of users, and of a search's answer."""
LENGTH_TOLERANCE = 2e-3
"""Difference of a squared length from 1 that counts as rounding."""
MIN_SIMILARITY = 80.0
"""Default of the least Similarity of a match, as in Amazon's API."""
MIN_ASSOCIATION = 75.0
"""Default of the least Similarity of a face to its user, as in Amazon's API."""


class CollectionInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A collection as it is listed."""

    name: str
    model: str
    """Name of the embedder's card; vectors of two models cannot be compared."""
    metric: Metric
    """How its vectors are compared."""
    faces: int
    users: int = 0
    created: float
    """Epoch seconds."""
    method: Method = "auto"


class User(msgspec.Struct, frozen=True, kw_only=True):
    """A user of a collection: a person with faces."""

    user_id: str
    faces: int

    @property
    def status(self) -> Status:
        return "ACTIVE" if self.faces else "CREATED"


class UserIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """A user that a face matches."""

    similarity: float
    """0 to 100, by the embedder card's calibration."""
    user: User


class CollectionPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some of the collections, in the order of their creation."""

    collections: list[CollectionInfo]
    token: str | None
    """Token of the next page; None on the last one."""


class FacePage(msgspec.Struct, frozen=True, kw_only=True):
    """Some of the faces of a collection, in the order they were added."""

    faces: list[StoredFace]
    token: str | None


class UserPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some of the users of a collection, in the order of their creation."""

    users: list[User]
    token: str | None


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """A face for which an operation on several failed."""

    face_id: str
    reason: Reason
    user_id: str | None = None
    """The user it belongs to, or was compared with, if that is the reason."""
    confidence: float | None = None
    """Its Similarity to the user, if that is the reason."""


class Deletions(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of deleting faces."""

    deleted: list[str]
    failed: list[Failure]


class Associations(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of associating faces with a user, or of disassociating them."""

    faces: list[str]
    """FaceIds for which it succeeded."""
    failed: list[Failure]
    status: Status
    """The user's, afterwards."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFace:
    """A face to be added."""

    picture: bytes
    """The image file as it was received. Only its digest, the ImageId, is stored."""
    external_image_id: str | None
    box: Box
    """left, top, width, height as ratios of the image."""
    confidence: float
    """0 to 100."""
    vector: Vectors
    """(dim,) as the embedder returns it."""


def check_name(kind: str, name: str, characters: str, most: int = 255) -> None:
    """Raise InvalidName, with a valid proposal, if a name has other characters or too many."""
    if re.fullmatch(f"[{characters}]{{1,{most}}}", name):
        return
    # Distinct for each name, so that who follows the advice does not merge two.
    better = (PEOPLE if ":" in characters else STREAMS).encode(name)
    advice = f"; {better!r} would do" if 1 <= len(better) <= most else ""
    raise InvalidName(
        f"{name!r} cannot be the {kind}: it takes 1 to {most} of [{characters}]{advice}"
    )


def check_face(new: NewFace) -> None:
    """Raise InvalidName for a bad ExternalImageId, ValueError for numbers that are not finite."""
    if new.external_image_id is not None:
        check_name("ExternalImageId", new.external_image_id, r"a-zA-Z0-9_.\-:")
    if new.vector.ndim != 1 or not new.vector.size or not np.isfinite(new.vector).all():
        raise ValueError(
            f"the vector of a face must be finite numbers of shape (dim,), not {new.vector.shape} "
            f"with {np.count_nonzero(~np.isfinite(new.vector))} that are not finite"
        )
    if not np.isfinite((*new.box, new.confidence)).all():
        raise ValueError(f"box {new.box} and confidence {new.confidence} must be finite numbers")


def are_off(vectors: Vectors) -> NDArray[np.bool_]:
    """Return (n,) which vectors (n, dim) are not of length 1."""
    return np.asarray(np.abs(np.einsum("ij,ij->i", vectors, vectors) - 1) >= LENGTH_TOLERANCE)
