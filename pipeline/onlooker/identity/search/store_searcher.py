"""Search over the built-in store, in SQLite or PostgreSQL."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias, TypeVar, cast

from onlooker.identity import index_paths
from onlooker.identity.errors import CollectionNotFound
from onlooker.identity.faces import (
    FACES_PER_PAGE,
    KINDS,
    MIN_ASSOCIATION,
    MIN_SIMILARITY,
    USERS_PER_PAGE,
    Associations,
    CollectionInfo,
    Kind,
    UserIdentity,
    Vectors,
)
from onlooker.identity.search.index import FaceIndex, Found, UserIndex
from onlooker.identity.search.index_cache import MAX_BYTES, IndexCache
from onlooker.identity.search.similarity import likeness, similarity
from onlooker.identity.store import Store
from onlooker.models.card import Space
from onlooker.types import Identity

T = TypeVar("T")
AnyIndex: TypeAlias = FaceIndex | UserIndex

FIRST_RESULTS = 32
"""Results of the first search; few searches have more above the threshold."""


class StoreSearcher(Store):
    """A `Store` and its search, as `onlooker.identity.search.searcher.Searcher` describes them.

    It keeps an index of each collection that was searched lately, up to `max_bytes`. `close` waits
    up to `finish_seconds` for index files that are being built, and ends the rest.
    """

    def __init__(
        self,
        path: Path,
        space: Space,
        url: str | None = None,
        *,
        finish_seconds: float = 0.0,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        super().__init__(path, url)
        self._space = space
        self._finish_seconds = finish_seconds
        self._indexes: IndexCache[tuple[str, Kind], AnyIndex] = IndexCache(
            self._build, max_bytes=max_bytes
        )

    @property
    def space(self) -> Space:
        return self._space

    def close(self) -> None:
        self._indexes.close(self._finish_seconds)
        super().close()

    def prepare(self, collection: str, kind: Kind = "faces") -> None:
        self._indexes.get((collection, kind))

    def search_faces(
        self,
        collection: str,
        vectors: Vectors,
        threshold: float = MIN_SIMILARITY,
        max_faces: int = FACES_PER_PAGE,
    ) -> list[tuple[Identity, ...]]:
        index = cast(FaceIndex, self._indexes.get((collection, "faces")))
        found = self._matches(collection, index.search, vectors, threshold, max_faces)
        return [
            tuple(Identity(similarity=value, face=face) for face, value in each) for each in found
        ]

    def search_users(
        self,
        collection: str,
        vectors: Vectors,
        threshold: float = MIN_SIMILARITY,
        max_users: int = USERS_PER_PAGE,
    ) -> list[tuple[UserIdentity, ...]]:
        index = cast(UserIndex, self._indexes.get((collection, "users")))
        found = self._matches(collection, index.search, vectors, threshold, max_users)
        return [
            tuple(UserIdentity(similarity=value, user=user) for user, value in each)
            for each in found
        ]

    def create_collection(self, name: str, tags: Mapping[str, str] | None = None) -> CollectionInfo:
        return self.make_collection(
            name, self.space.name, tags, metric=self.space.calibration.metric
        )

    def associate(
        self,
        collection: str,
        user_id: str,
        face_ids: Sequence[str],
        threshold: float = MIN_ASSOCIATION,
        request: str | None = None,
    ) -> Associations:
        return self.associate_alike(
            collection, user_id, face_ids, likeness(self.space), threshold, request
        )

    def _build(self, key: tuple[str, Kind]) -> AnyIndex:
        collection, kind = key
        make = FaceIndex if kind == "faces" else UserIndex
        return make(self, collection, self._space.name, self._space.calibration.metric)

    def _matches(
        self,
        collection: str,
        search: Callable[[Vectors, int], list[list[Found[T]]]],
        vectors: Vectors,
        threshold: float,
        limit: int,
    ) -> list[list[tuple[T, float]]]:
        k = min(limit, FIRST_RESULTS)
        while True:
            try:
                found = [self._rated(results) for results in search(vectors, k)]
            except CollectionNotFound:
                for kind in KINDS:
                    self._indexes.drop((collection, kind))
                # Another machine, which has not this one's files, may have deleted it.
                index_paths.remove_collection(self.index_folder, collection, self._space.name)
                raise
            cut_off = any(len(each) == k and each[-1][1] >= threshold for each in found)
            if k == limit or not cut_off:
                return [[one for one in each if one[1] >= threshold] for each in found]
            k = min(limit, 8 * k)

    def _rated(self, results: list[Found[T]]) -> list[tuple[T, float]]:
        return [(one.entry, similarity(one.value, self._space.calibration)) for one in results]
