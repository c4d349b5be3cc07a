"""Errors of collections, faces and the store. Each text says what happened and what to do."""

from onlooker.errors import OnlookerError


class StoreError(OnlookerError):
    """The store cannot do what was asked; the root of the other errors here."""


class InvalidName(StoreError):
    """A name has characters that Amazon's API does not allow there, or too many."""


class CollectionNotFound(StoreError):
    """No collection has that name."""


class CollectionExists(StoreError):
    """A collection of that name exists already."""


class ModelMismatch(StoreError):
    """The collection holds vectors of another model."""


class NoFaceFound(OnlookerError):
    """An image has no face that can be indexed or searched for."""


class FaceNotFound(StoreError):
    """The collection has no face of that FaceId."""


class UserNotFound(StoreError):
    """The collection has no user of that UserId."""


class UserExists(StoreError):
    """The collection has a user of that UserId already."""


class TooMany(StoreError):
    """A limit of a collection, a user or a set of tags would be exceeded."""


class CopyError(StoreError):
    """A backup, an export or an import cannot be made or read."""


class StoreFull(StoreError):
    """The disk is full. Nothing was changed."""


class StoreLocked(StoreError):
    """Another process has kept the store locked for too long. Nothing was changed."""


class StoreUnreachable(StoreError):
    """The server of the store does not answer, or the connection to it was lost."""


class StoreReadOnly(StoreError):
    """The store cannot be written."""


class StoreClosed(StoreError):
    """The store was closed, or was opened by another process."""


class StoreDamaged(StoreError):
    """The store's file is damaged or of another kind."""


def mismatch(collection: str, model: str, wanted: str) -> ModelMismatch:
    """Return the error for vectors of `wanted` in a collection of `model`."""
    return ModelMismatch(
        f"the collection {collection} holds vectors of {model}, which cannot be compared with "
        f'those of {wanted}: set embedder = "{model}" under [faces], or index the images into '
        "a new collection"
    )


def not_found(collection: str) -> CollectionNotFound:
    """Return the error for a collection that does not exist."""
    return CollectionNotFound(
        f"The collection id: {collection} does not exist. ListCollections, or `onlooker collection "
        "list`, lists the existing ones; CreateCollection, or `onlooker collection create`, makes "
        "one."
    )
