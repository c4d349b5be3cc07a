"""A second implementation of `Searcher`, in memory: naive, and without files or SQL."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self, TypeVar

import numpy as np
from msgspec.structs import replace

from onlooker import page_token
from onlooker.identity.duplicates import face_id, image_id
from onlooker.identity.errors import (
    CollectionExists,
    FaceNotFound,
    StoreClosed,
    UserExists,
    UserNotFound,
    mismatch,
    not_found,
)
from onlooker.identity.faces import (
    Associations,
    CollectionInfo,
    CollectionPage,
    Deletions,
    FacePage,
    Failure,
    Kind,
    NewFace,
    User,
    UserIdentity,
    UserPage,
    Vectors,
    check_face,
    check_name,
)
from onlooker.identity.search.similarity import likeness
from onlooker.models.card import Space
from onlooker.types import Identity, StoredFace

T = TypeVar("T")


@dataclass
class People:
    """A collection."""

    info: CollectionInfo
    tags: dict[str, str]
    faces: dict[str, tuple[int, StoredFace, Vectors]] = field(default_factory=dict)
    users: dict[str, int] = field(default_factory=dict)


STORES: dict[Path, dict[str, People]] = {}
"""What all searchers of a path share."""
SECRET = b"memory"


class MemorySearcher:
    """Collections in this process's memory, one set for each path."""

    def __init__(self, path: Path, space: Space) -> None:
        self.space = space
        self._likeness = likeness(space)
        self._collections = STORES.setdefault(path, {})
        self._closed = False

    def close(self) -> None:
        self._closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def prepare(self, collection: str, kind: Kind = "faces") -> None:
        model = self._people(collection).info.model
        if model != self.space.name:
            raise mismatch(collection, model, self.space.name)

    def search_faces(
        self, collection: str, vectors: Vectors, threshold: float = 80.0, max_faces: int = 4096
    ) -> list[tuple[Identity, ...]]:
        self.prepare(collection)
        everyone = self._people(collection).faces.values()
        return [
            tuple(
                Identity(similarity=value, face=face)
                for value, face in self._best(
                    [(vector, face) for _, face, vector in everyone], query, threshold, max_faces
                )
            )
            for query in vectors
        ]

    def search_users(
        self, collection: str, vectors: Vectors, threshold: float = 80.0, max_users: int = 500
    ) -> list[tuple[UserIdentity, ...]]:
        self.prepare(collection)
        means = [
            (mean, self._user(collection, user))
            for user in self._people(collection).users
            if (mean := self.user_vector(collection, user)) is not None
        ]
        return [
            tuple(
                UserIdentity(similarity=value, user=user)
                for value, user in self._best(means, query, threshold, max_users)
            )
            for query in vectors
        ]

    def _best(
        self, candidates: list[tuple[Vectors, T]], query: Vectors, threshold: float, limit: int
    ) -> list[tuple[float, T]]:
        rated = [(self._likeness(query, vector), one) for vector, one in candidates]
        rated = [pair for pair in rated if pair[0] >= threshold]
        return sorted(rated, key=lambda pair: -pair[0])[:limit]

    def create_collection(self, name: str, tags: Mapping[str, str] | None = None) -> CollectionInfo:
        check_name("CollectionId", name, r"a-zA-Z0-9_.\-")
        if name in self._collections:
            raise CollectionExists(name)
        metric = self.space.calibration.metric
        info = CollectionInfo(
            name=name, model=self.space.name, metric=metric, faces=0, created=time.time()
        )
        self._collections[name] = People(info, dict(tags or {}))
        return info

    def delete_collection(self, name: str) -> None:
        self._people(name)
        del self._collections[name]

    def collection(self, name: str) -> CollectionInfo:
        people = self._people(name)
        return replace(people.info, faces=len(people.faces), users=len(people.users))

    def collections(self, limit: int = 4096, token: str | None = None) -> CollectionPage:
        names, after = self._page([*self._collections], ("collections",), limit, token)
        return CollectionPage(collections=[self.collection(name) for name in names], token=after)

    def tag(self, collection: str, tags: Mapping[str, str]) -> None:
        self._people(collection).tags.update(tags)

    def untag(self, collection: str, keys: Iterable[str]) -> None:
        for key in keys:
            self._people(collection).tags.pop(key, None)

    def tags(self, collection: str) -> dict[str, str]:
        return dict(sorted(self._people(collection).tags.items()))

    def add(self, collection: str, faces: Sequence[NewFace]) -> list[StoredFace]:
        people = self._people(collection)
        for new in faces:
            check_face(new)
        added = []
        for new in faces:
            image = image_id(new.picture)
            face = StoredFace(
                face_id=face_id(new, people.info.model, image),
                image_id=image,
                external_image_id=new.external_image_id,
                box=new.box,
                confidence=new.confidence,
            )
            number = max((number for number, *_ in people.faces.values()), default=0) + 1
            people.faces.setdefault(face.face_id, (number, face, new.vector))
            added.append(people.faces[face.face_id][1])
        return added

    def faces(
        self,
        collection: str,
        face_ids: Sequence[str] | None = None,
        user_id: str | None = None,
        limit: int = 4096,
        token: str | None = None,
    ) -> FacePage:
        found = [
            (number, face)
            for number, face, _ in self._people(collection).faces.values()
            if (face_ids is None or face.face_id in face_ids)
            and (user_id is None or face.user_id == user_id)
        ]
        scope = ("faces", collection, face_ids, user_id)
        last = page_token.last(SECRET, scope, token)
        later = [pair for pair in found if pair[0] > last]
        page = later[:limit]
        after = page_token.token(SECRET, scope, page[-1][0]) if len(later) > limit else None
        return FacePage(faces=[face for _, face in page], token=after)

    def vectors(self, collection: str, face_ids: Sequence[str]) -> Vectors:
        people = self._people(collection)
        if missing := [one for one in face_ids if one not in people.faces]:
            raise FaceNotFound(missing[0])
        return np.stack([people.faces[one][2] for one in face_ids])

    def delete_faces(self, collection: str, face_ids: Sequence[str]) -> Deletions:
        people = self._people(collection)
        deleted, failed = [], []
        for one in face_ids:
            if one not in people.faces:
                failed.append(Failure(face_id=one, reason="FACE_NOT_FOUND"))
            elif people.faces[one][1].user_id is not None:
                failed.append(Failure(face_id=one, reason="ASSOCIATED_TO_AN_EXISTING_USER"))
            else:
                del people.faces[one]
                deleted.append(one)
        return Deletions(deleted=deleted, failed=failed)

    def create_user(self, collection: str, user_id: str, request: str | None = None) -> None:
        check_name("UserId", user_id, r"a-zA-Z0-9_.\-:", 128)
        if user_id in self._people(collection).users:
            raise UserExists(user_id)
        self._people(collection).users[user_id] = 0

    def delete_user(self, collection: str, user_id: str, request: str | None = None) -> None:
        self._give(collection, self._faces_of(collection, user_id), None)
        del self._people(collection).users[user_id]

    def users(self, collection: str, limit: int = 500, token: str | None = None) -> UserPage:
        scope = ("users", collection)
        names, after = self._page([*self._people(collection).users], scope, limit, token)
        return UserPage(users=[self._user(collection, name) for name in names], token=after)

    def user_vector(self, collection: str, user_id: str) -> Vectors | None:
        own = self._faces_of(collection, user_id)
        return self.vectors(collection, own).mean(axis=0) if own else None

    def associate(
        self,
        collection: str,
        user_id: str,
        face_ids: Sequence[str],
        threshold: float = 75.0,
        request: str | None = None,
    ) -> Associations:
        self._faces_of(collection, user_id)
        done, failed = [], []
        for one in face_ids:
            mean = self.user_vector(collection, user_id)
            [vector] = self.vectors(collection, [one])
            if mean is not None and self._likeness(vector, mean) < threshold:
                failed.append(Failure(face_id=one, reason="LOW_MATCH_CONFIDENCE"))
            else:
                self._give(collection, [one], user_id)
                done.append(one)
        status = self._user(collection, user_id).status
        return Associations(faces=done, failed=failed, status=status)

    def disassociate(
        self, collection: str, user_id: str, face_ids: Sequence[str], request: str | None = None
    ) -> Associations:
        self._give(collection, face_ids, None)
        status = self._user(collection, user_id).status
        return Associations(faces=[*face_ids], failed=[], status=status)

    def _people(self, name: str) -> People:
        if self._closed:
            raise StoreClosed("the searcher was closed")
        if name not in self._collections:
            raise not_found(name)
        return self._collections[name]

    def _user(self, collection: str, user_id: str) -> User:
        return User(user_id=user_id, faces=len(self._faces_of(collection, user_id)))

    def _faces_of(self, collection: str, user_id: str) -> list[str]:
        people = self._people(collection)
        if user_id not in people.users:
            raise UserNotFound(user_id)
        return [one for one, (_, face, _) in people.faces.items() if face.user_id == user_id]

    def _give(self, collection: str, face_ids: Sequence[str], user_id: str | None) -> None:
        faces = self._people(collection).faces
        for one in face_ids:
            number, face, vector = faces[one]
            faces[one] = (number, replace(face, user_id=user_id), vector)

    @staticmethod
    def _page(
        names: list[str], scope: tuple[object, ...], limit: int, token: str | None
    ) -> tuple[list[str], str | None]:
        start = page_token.last(SECRET, scope, token)
        end = start + limit
        after = page_token.token(SECRET, scope, end) if len(names) > end else None
        return names[start:end], after
