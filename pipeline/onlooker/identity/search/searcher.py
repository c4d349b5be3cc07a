"""The seam between the program and whatever stores people and searches them.

The API, the stream, the command line and `onlooker.Collection` know collections by this protocol
only. `onlooker.identity.search.store_searcher` is the built-in implementation; another one, over
PostgreSQL or a vector database, needs nothing but these methods and a case in
`onlooker.identity.search.engines`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol, Self

from onlooker.identity.faces import (
    FACES_PER_PAGE,
    MIN_ASSOCIATION,
    MIN_SIMILARITY,
    USERS_PER_PAGE,
    Associations,
    CollectionInfo,
    CollectionPage,
    Deletions,
    FacePage,
    Kind,
    NewFace,
    UserIdentity,
    UserPage,
    Vectors,
)
from onlooker.models.card import Space
from onlooker.types import Identity, StoredFace


class Searcher(Protocol):
    """Collections of people, and search in them for vectors of one embedder's `space`.

    Threads may use one together; each process opens its own. A change is durable when its method
    returns, and every search and list that begins later, in any process, includes it. A page token
    is opaque, and entries that exist from the first page to the last are listed exactly once.
    `request` is a ClientRequestToken: a repeated one changes nothing and gets the same answer, and
    raises RequestMismatch if the parameters differ.

    All methods raise StoreError if the store fails, CollectionNotFound if the collection does not
    exist, and UserNotFound if a user they name does not. Lists raise InvalidToken.
    """

    @property
    def space(self) -> Space:
        """The vector space of the embedder whose vectors are stored and searched."""

    def close(self) -> None:
        """End background work and release all resources."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    # Search

    def prepare(self, collection: str, kind: Kind = "faces") -> None:
        """Load what the first search needs, so that it is as fast as the others.

        Raises ModelMismatch if the collection is of another model, as each search does.
        """

    def search_faces(
        self,
        collection: str,
        vectors: Vectors,
        threshold: float = MIN_SIMILARITY,
        max_faces: int = FACES_PER_PAGE,
    ) -> list[tuple[Identity, ...]]:
        """Return for each vector (n, dim) the faces of at least this Similarity, best first."""

    def search_users(
        self,
        collection: str,
        vectors: Vectors,
        threshold: float = MIN_SIMILARITY,
        max_users: int = USERS_PER_PAGE,
    ) -> list[tuple[UserIdentity, ...]]:
        """Return the same for users, compared by the mean of their faces' vectors."""

    # Collections

    def create_collection(self, name: str, tags: Mapping[str, str] | None = None) -> CollectionInfo:
        """Create an empty collection for vectors of `space`.

        Raises CollectionExists, InvalidName, and TooMany for too many tags.
        """

    def delete_collection(self, name: str) -> None:
        """Delete a collection with its faces, users and tags."""

    def collection(self, name: str) -> CollectionInfo:
        """Return one collection."""

    def collections(self, limit: int = FACES_PER_PAGE, token: str | None = None) -> CollectionPage:
        """List collections in the order of their creation."""

    def tag(self, collection: str, tags: Mapping[str, str]) -> None:
        """Add tags; existing keys get the new values. Raises TooMany."""

    def untag(self, collection: str, keys: Iterable[str]) -> None:
        """Remove tags; missing keys are ignored."""

    def tags(self, collection: str) -> dict[str, str]:
        """Return all tags by key."""

    # Faces

    def add(self, collection: str, faces: Sequence[NewFace]) -> list[StoredFace]:
        """Add faces, all or none, and return them in the same order.

        A face with an ExternalImageId has the same FaceId each time: adding it again stores nothing
        and returns the stored one. Raises InvalidName, TooMany, and ValueError for a vector that
        does not fit the collection.
        """

    def faces(
        self,
        collection: str,
        face_ids: Sequence[str] | None = None,
        user_id: str | None = None,
        limit: int = FACES_PER_PAGE,
        token: str | None = None,
    ) -> FacePage:
        """List faces in the order they were added: all, of these ids, of a user, or both."""

    def vectors(self, collection: str, face_ids: Sequence[str]) -> Vectors:
        """Return the vectors (n, dim) of these faces. Raises FaceNotFound."""

    def delete_faces(self, collection: str, face_ids: Sequence[str]) -> Deletions:
        """Delete faces, except those that do not exist or belong to a user."""

    # Users

    def create_user(self, collection: str, user_id: str, request: str | None = None) -> None:
        """Create a user without faces. Raises UserExists and InvalidName."""

    def delete_user(self, collection: str, user_id: str, request: str | None = None) -> None:
        """Delete a user. Its faces remain, without a user."""

    def users(
        self, collection: str, limit: int = USERS_PER_PAGE, token: str | None = None
    ) -> UserPage:
        """List users in the order of their creation."""

    def user_vector(self, collection: str, user_id: str) -> Vectors | None:
        """Return the mean (dim,) of the vectors of a user's faces; None if it has no faces."""

    def associate(
        self,
        collection: str,
        user_id: str,
        face_ids: Sequence[str],
        threshold: float = MIN_ASSOCIATION,
        request: str | None = None,
    ) -> Associations:
        """Associate faces with a user, except those less similar than this to its faces.

        Raises TooMany, with nothing changed, if the user would have too many faces.
        """

    def disassociate(
        self, collection: str, user_id: str, face_ids: Sequence[str], request: str | None = None
    ) -> Associations:
        """Disassociate faces from a user."""


def all_collections(searcher: Searcher) -> Iterator[CollectionInfo]:
    """Yield all collections in the order of their creation."""
    token = None
    while True:
        page = searcher.collections(token=token)
        yield from page.collections
        if (token := page.token) is None:
            return


def all_faces(searcher: Searcher, collection: str) -> Iterator[StoredFace]:
    """Yield all faces of a collection in the order they were added."""
    token = None
    while True:
        page = searcher.faces(collection, token=token)
        yield from page.faces
        if (token := page.token) is None:
            return
