"""The table of operations: the whole API on one screen."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from onlooker.api.errors import Refusal
from onlooker.api.rekognition import collections, requests, tags, users
from onlooker.api.rekognition import images as pictures


@dataclass(frozen=True, slots=True)
class Operation:
    """What is asked, and the function that answers it."""

    request: type[msgspec.Struct]
    run: Callable[..., msgspec.Struct]
    """(request, site) -> answer, or (request, site, analyser) -> answer of one that looks."""
    looks: bool = False
    """Whether it looks at a picture, and needs models."""
    changes: bool = False
    """Whether it changes what is stored."""

    @property
    def name(self) -> str:
        """As Amazon calls it."""
        return self.request.__name__

    def collection(self, request: Any) -> str | None:
        """Name of the collection that a request is about, if it is about one."""
        if hasattr(request, "ResourceArn"):
            return tags.collection_of(request.ResourceArn or "")
        name: str | None = getattr(request, "CollectionId", None)
        return name

    def buckets(self, request: Any) -> list[str]:
        """Names of the buckets that a request's pictures are in."""
        images = [getattr(request, member, None) for member in IMAGES]
        there = [one.S3Object for one in images if one is not None and one.S3Object is not None]
        return [one.Bucket for one in there if one.Bucket is not None]


IMAGES = ("Image", "SourceImage", "TargetImage")
"""Members of requests that are pictures."""

OPERATIONS = {
    operation.name: operation
    for operation in (
        Operation(requests.DetectFaces, pictures.detect_faces, looks=True),
        Operation(requests.DetectText, pictures.detect_text, looks=True),
        Operation(requests.CompareFaces, pictures.compare_faces, looks=True),
        Operation(requests.CreateCollection, collections.create_collection, changes=True),
        Operation(requests.DescribeCollection, collections.describe_collection),
        Operation(requests.DeleteCollection, collections.delete_collection, changes=True),
        Operation(requests.ListCollections, collections.list_collections),
        Operation(requests.IndexFaces, collections.index_faces, looks=True, changes=True),
        Operation(requests.ListFaces, collections.list_faces),
        Operation(requests.DeleteFaces, collections.delete_faces, changes=True),
        Operation(requests.SearchFaces, collections.search_faces),
        Operation(requests.SearchFacesByImage, collections.search_faces_by_image, looks=True),
        Operation(requests.CreateUser, users.create_user, changes=True),
        Operation(requests.DeleteUser, users.delete_user, changes=True),
        Operation(requests.ListUsers, users.list_users),
        Operation(requests.AssociateFaces, users.associate_faces, changes=True),
        Operation(requests.DisassociateFaces, users.disassociate_faces, changes=True),
        Operation(requests.SearchUsers, users.search_users),
        Operation(requests.SearchUsersByImage, users.search_users_by_image, looks=True),
        Operation(requests.TagResource, tags.tag_resource, changes=True),
        Operation(requests.UntagResource, tags.untag_resource, changes=True),
        Operation(requests.ListTagsForResource, tags.list_tags_for_resource),
    )
}

TARGET = "RekognitionService."
"""What the header X-Amz-Target begins with."""


def named(target: str | None) -> Operation:
    """The operation that a request's X-Amz-Target names; Refusal for none of ours."""
    if target is not None and target.startswith(TARGET):
        operation = OPERATIONS.get(target.removeprefix(TARGET))
        if operation is not None:
            return operation
    supported = ", ".join(sorted(OPERATIONS))
    what = f"{target[:100]!r} is not one of ours" if target else "there is no X-Amz-Target"
    raise Refusal(
        "UnknownOperationException",
        f"{what}; it must be {TARGET}NAME with one of these names: {supported}",
    )
