"""Search over the built-in store, in SQLite or PostgreSQL."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from onlooker.identity.faces import (
    FACES_PER_PAGE,
    MIN_ASSOCIATION,
    MIN_SIMILARITY,
    USERS_PER_PAGE,
    Associations,
    CollectionInfo,
    Kind,
    UserIdentity,
    Vectors,
)
from onlooker.identity.search.matcher import Matcher, likeness
from onlooker.identity.store import Store
from onlooker.models.card import Space
from onlooker.types import Identity


class StoreSearcher(Store):
    """A `Store` and its search, as `onlooker.identity.search.searcher.Searcher` describes them.

    `close` waits up to `finish_seconds` for index files that are being built, and ends the rest.
    """

    def __init__(
        self, path: Path, space: Space, url: str | None = None, *, finish_seconds: float = 0.0
    ) -> None:
        super().__init__(path, url)
        self._space = space
        self._matcher = Matcher(self, space)
        self._finish_seconds = finish_seconds

    @property
    def space(self) -> Space:
        return self._space

    def close(self) -> None:
        self._matcher.close(self._finish_seconds)
        super().close()

    def prepare(self, collection: str, kind: Kind = "faces") -> None:
        self._matcher.prepare(collection, kind)

    def search_faces(
        self,
        collection: str,
        vectors: Vectors,
        threshold: float = MIN_SIMILARITY,
        max_faces: int = FACES_PER_PAGE,
    ) -> list[tuple[Identity, ...]]:
        return self._matcher.faces(collection, vectors, threshold, max_faces)

    def search_users(
        self,
        collection: str,
        vectors: Vectors,
        threshold: float = MIN_SIMILARITY,
        max_users: int = USERS_PER_PAGE,
    ) -> list[tuple[UserIdentity, ...]]:
        return self._matcher.users(collection, vectors, threshold, max_users)

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
