"""What a collection is to those who fill it and to those who search it."""

import hashlib
import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from onlooker.errors import OnlookerError
from onlooker.types import Box, StoredFace

NAMESPACE = uuid.uuid5(uuid.NAMESPACE_OID, "onlooker/faces")


class StoreError(OnlookerError):
    """The store cannot do what was asked; the text says why and what to do."""


class InvalidName(StoreError):
    """A name has characters that Amazon's API does not allow there, or too many."""


class CollectionNotFound(StoreError):
    """There is no collection of that name."""


class CollectionExists(StoreError):
    """There is a collection of that name already."""


class ModelMismatch(StoreError):
    """The collection's vectors are another model's."""


class FaceNotFound(StoreError):
    """The collection has no face of that FaceId."""


class UserNotFound(StoreError):
    """The collection has no user of that UserId."""


class UserExists(StoreError):
    """The collection has a user of that UserId already."""


class TooMany(StoreError):
    """More than a collection, a user or a set of tags can hold."""


class StoreFull(StoreError):
    """The disk is full. Nothing was changed."""


class StoreLocked(StoreError):
    """Another process has kept the store locked for too long. Nothing was changed."""


class StoreReadOnly(StoreError):
    """The store cannot be written."""


class StoreClosed(StoreError):
    """The store was closed, or is another process's."""


class StoreDamaged(StoreError):
    """The store's file is not whole."""


Method: TypeAlias = Literal["auto", "exact", "annoy"]
"""How a collection is searched: see `onlooker.identity.search.index`."""
Kind: TypeAlias = Literal["faces", "users"]
"""What is searched."""
Reason: TypeAlias = Literal[
    "FACE_NOT_FOUND",
    "ASSOCIATED_TO_AN_EXISTING_USER",
    "ASSOCIATED_TO_A_DIFFERENT_USER",
    "LOW_MATCH_CONFIDENCE",
]
Status: TypeAlias = Literal["CREATED", "ACTIVE"]
"""CREATED has no faces and is not found; ACTIVE has. The states between never show here."""

MOST_FACES = 20_000_000
"""In a collection."""
MOST_FACES_OF_USER = 100
MOST_TAGS = 200


class Collection(msgspec.Struct, frozen=True, kw_only=True):
    """A collection as it is listed."""

    name: str
    model: str
    """Name of the embedder's card; vectors of two models cannot be compared."""
    faces: int
    users: int = 0
    created: float
    """Epoch seconds."""
    method: Method = "auto"


class User(msgspec.Struct, frozen=True, kw_only=True):
    """A person of a collection, to whom faces belong."""

    user_id: str
    faces: int

    @property
    def status(self) -> Status:
        return "ACTIVE" if self.faces else "CREATED"


class CollectionPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some of the collections, in the order they were made."""

    collections: list[Collection]
    token: str | None
    """For the next page; None on the last one."""


class FacePage(msgspec.Struct, frozen=True, kw_only=True):
    """Some of the faces of a collection, in the order they were added."""

    faces: list[StoredFace]
    token: str | None


class UserPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some of the users of a collection, in the order they were made."""

    users: list[User]
    token: str | None


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """A face of a list that could not be treated like the others."""

    face_id: str
    reason: Reason
    user_id: str | None = None
    """Whose it is, where that is the reason."""
    confidence: float | None = None
    """Its Similarity to the user, where that is the reason."""


class Deletions(msgspec.Struct, frozen=True, kw_only=True):
    """What became of faces that were to be deleted."""

    deleted: list[str]
    failed: list[Failure]


class Associations(msgspec.Struct, frozen=True, kw_only=True):
    """What became of faces that were to be given to a user, or taken away."""

    faces: list[str]
    """Those that were."""
    failed: list[Failure]
    status: Status
    """The user's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFace:
    """A face to be added."""

    picture: bytes
    """The picture file as it was given. Only its digest, the ImageId, is kept."""
    external_image_id: str | None
    box: Box
    """left, top, width, height as ratios of the picture."""
    confidence: float
    """0 to 100."""
    vector: NDArray[np.float32]
    """(dim,) as the embedder gives it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What happened to a collection after some change number. Deletions come before additions."""

    number: int
    """The collection's change number now."""
    model: str
    method: Method
    reset: bool
    """The collection was made after that number: forget everything known of its name."""
    deleted: NDArray[np.int64]
    """(m,) numbers of faces or users that are gone; some may never have been seen."""
    added: NDArray[np.int64]
    """(n,) numbers of those that are there now, ascending."""
    vectors: NDArray[np.float32]
    """(n, dim); (0, 0) where nothing was added."""


class FaceStore(Protocol):
    """What search needs of a store. `Store` is the one in SQLite; another can take its place."""

    @property
    def path(self) -> Path:
        """Beside it files that are derived from the store may be kept."""

    @property
    def key(self) -> str:
        """Of this store alone, and another one after it was restored from a copy."""

    def change(self, collection: str) -> int: ...

    def changes(self, collection: str, since: int, kind: Kind = "faces") -> Changes: ...

    def vectors_of(
        self, numbers: Sequence[int], kind: Kind = "faces"
    ) -> dict[int, NDArray[np.float32]]: ...

    def numbered(self, numbers: Sequence[int]) -> dict[int, StoredFace]: ...

    def numbered_users(self, numbers: Sequence[int]) -> dict[int, User]: ...


def image_id(data: bytes) -> str:
    """ImageId of a picture file's bytes: the same bytes have the same id everywhere."""
    return str(uuid.uuid5(NAMESPACE, hashlib.sha256(data).hexdigest()))


def face_id(new: NewFace, model: str, image_id: str) -> str:
    """FaceId: of a named face always the same one, of an unnamed one a new one each time."""
    if new.external_image_id is None:
        return str(uuid.uuid4())
    # Thousandths of the picture: two faces never share them, rounding errors seldom cross them.
    box = ",".join(str(round(value * 1000)) for value in new.box)
    parts = (model, image_id, new.external_image_id, box)
    return str(uuid.uuid5(NAMESPACE, "|".join(parts)))


def mismatch(collection: str, model: str, wanted: str) -> ModelMismatch:
    """What to raise where vectors of `wanted` meet a collection of `model`."""
    return ModelMismatch(
        f"the collection {collection} holds vectors of {model}, which cannot be compared with "
        f'those of {wanted}: set embedder = "{model}" under [faces], or index the pictures into '
        "a new collection"
    )


def check_name(kind: str, name: str, characters: str, most: int = 255) -> None:
    """InvalidName, with one that would do, for a name of other characters or of too many."""
    if re.fullmatch(f"[{characters}]{{1,{most}}}", name):
        return
    better = re.sub(f"[^{characters}]", "_", name)[:most]
    advice = f"; {better!r} would do" if better else ""
    raise InvalidName(
        f"{name!r} cannot be the {kind}: it takes 1 to {most} of [{characters}]{advice}"
    )


def check_face(new: NewFace) -> None:
    """InvalidName for its name; ValueError for numbers that are none."""
    if new.external_image_id is not None:
        check_name("ExternalImageId", new.external_image_id, r"a-zA-Z0-9_.\-:")
    if new.vector.ndim != 1 or not new.vector.size or not np.isfinite(new.vector).all():
        raise ValueError(
            f"the vector of a face must be finite numbers of shape (dim,), not {new.vector.shape} "
            f"with {np.count_nonzero(~np.isfinite(new.vector))} that are not finite"
        )
    if not np.isfinite((*new.box, new.confidence)).all():
        raise ValueError(f"box {new.box} and confidence {new.confidence} must be finite numbers")
