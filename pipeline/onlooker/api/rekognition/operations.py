"""The table of Amazon Rekognition's operations."""

from collections.abc import Sequence
from typing import Any

import msgspec

from onlooker.api.access_keys import Key
from onlooker.api.context import Context
from onlooker.api.errors import Refusal, invalid
from onlooker.api.rekognition import (
    collections,
    images,
    names,
    requests,
    stream_processors,
    tags,
    users,
    videos,
)
from onlooker.api.rekognition import stream_processor_requests as processor_requests
from onlooker.api.rekognition.face_input import check_model
from onlooker.api.rekognition.image_input import images_of, with_images
from onlooker.api.rekognition.profile_2017 import as_in_2017
from onlooker.api.rekognition.responses import ListCollections
from onlooker.api.rekognition.stream_processor_responses import ListStreamProcessors
from onlooker.api.rekognition.stream_processors import (
    create_stream_processor,
    delete_stream_processor,
    describe_stream_processor,
    list_stream_processors,
    start_stream_processor,
    stop_stream_processor,
    update_stream_processor,
)
from onlooker.api.service import Operation, Resource, Service
from onlooker.errors import OnlookerError
from onlooker.idempotency import RequestMismatch
from onlooker.identity import errors
from onlooker.jobs.errors import JobNotFound
from onlooker.page_token import InvalidToken
from onlooker.stream.processors import BadProcessor, ProcessorNotFound

DETECT_TEXT = with_images(images.detect_text, images.check_filters)
INDEX_FACES = with_images(collections.index_faces, check_model)
SEARCH_FACES_BY_IMAGE = with_images(collections.search_faces_by_image, check_model)
SEARCH_USERS_BY_IMAGE = with_images(users.search_users_by_image, check_model)

OPERATIONS = {
    operation.name: operation
    for operation in (
        Operation(requests.DetectFaces, with_images(images.detect_faces), needs_models=True),
        Operation(requests.DetectText, DETECT_TEXT, needs_models=True),
        Operation(requests.CompareFaces, with_images(images.compare_faces), needs_models=True),
        Operation(requests.CreateCollection, collections.create_collection, changes=True),
        Operation(requests.DescribeCollection, collections.describe_collection),
        Operation(requests.DeleteCollection, collections.delete_collection, changes=True),
        Operation(requests.ListCollections, collections.list_collections),
        Operation(requests.IndexFaces, INDEX_FACES, needs_models=True, changes=True),
        Operation(requests.ListFaces, collections.list_faces),
        Operation(requests.DeleteFaces, collections.delete_faces, changes=True),
        Operation(requests.SearchFaces, collections.search_faces),
        Operation(requests.SearchFacesByImage, SEARCH_FACES_BY_IMAGE, needs_models=True),
        Operation(requests.CreateUser, users.create_user, changes=True),
        Operation(requests.DeleteUser, users.delete_user, changes=True),
        Operation(requests.ListUsers, users.list_users),
        Operation(requests.AssociateFaces, users.associate_faces, changes=True),
        Operation(requests.DisassociateFaces, users.disassociate_faces, changes=True),
        Operation(requests.SearchUsers, users.search_users),
        Operation(requests.SearchUsersByImage, SEARCH_USERS_BY_IMAGE, needs_models=True),
        Operation(requests.TagResource, tags.tag_resource, changes=True),
        Operation(requests.UntagResource, tags.untag_resource, changes=True),
        Operation(requests.ListTagsForResource, tags.list_tags_for_resource),
        Operation(requests.StartFaceDetection, videos.start_face_detection, changes=True),
        Operation(requests.GetFaceDetection, videos.get_face_detection),
        Operation(requests.StartFaceSearch, videos.start_face_search, changes=True),
        Operation(requests.GetFaceSearch, videos.get_face_search),
        Operation(requests.StartTextDetection, videos.start_text_detection, changes=True),
        Operation(requests.GetTextDetection, videos.get_text_detection),
        Operation(requests.StartPersonTracking, videos.start_person_tracking, changes=True),
        Operation(requests.GetPersonTracking, videos.get_person_tracking),
        Operation(processor_requests.CreateStreamProcessor, create_stream_processor, changes=True),
        Operation(processor_requests.DescribeStreamProcessor, describe_stream_processor),
        Operation(processor_requests.ListStreamProcessors, list_stream_processors),
        Operation(processor_requests.StartStreamProcessor, start_stream_processor, changes=True),
        Operation(processor_requests.StopStreamProcessor, stop_stream_processor, changes=True),
        Operation(processor_requests.UpdateStreamProcessor, update_stream_processor, changes=True),
        Operation(processor_requests.DeleteStreamProcessor, delete_stream_processor, changes=True),
    )
}

ERRORS: dict[type[Exception], str] = {
    errors.CollectionExists: "ResourceAlreadyExistsException",
    errors.CollectionNotFound: "ResourceNotFoundException",
    InvalidToken: "InvalidPaginationTokenException",
    RequestMismatch: "IdempotentParameterMismatchException",
    errors.TooMany: "ServiceQuotaExceededException",
    errors.UserExists: "ConflictException",
    errors.UserNotFound: "ResourceNotFoundException",
    JobNotFound: "ResourceNotFoundException",
    ProcessorNotFound: "ResourceNotFoundException",
}
"""Amazon's names of the store's errors."""


def resources(request: Any, context: Context) -> Sequence[Resource]:
    """Return the collection that a request or its job is about, and the buckets of its images.

    Of requests about stream processors, what they are about.
    """
    found = stream_processors.resources(request, context)
    arn = getattr(request, "ResourceArn", None)
    collection = names.collection_of(arn) if arn else getattr(request, "CollectionId", None)
    if arn and (processor := names.processor_of(arn)) is not None:
        found.append(Resource("processor", processor, names.processor_arn(context, processor)))
    images = [*images_of(request).values(), getattr(request, "Video", None)]
    objects = [image.S3Object for image in images if image is not None]
    buckets = [each.Bucket for each in objects if each is not None and each.Bucket is not None]
    if isinstance(request, requests.GetJob) and (job := videos.known_job(request, context)):
        collection = job.request.collection
        buckets = [job.request.bucket]
    if collection is not None:
        arn = names.collection_arn(context, collection)
        found.append(Resource("collection", collection, arn))
    return found + [
        Resource("bucket", bucket, f"arn:aws:s3:::{bucket}", "s3:GetObject") for bucket in buckets
    ]


def refusal(error: OnlookerError) -> Refusal | None:
    """Return an error of the store as the client sees it; None if it is the server's fault."""
    if type(error) in ERRORS:
        return Refusal(ERRORS[type(error)], str(error))
    if isinstance(
        error, errors.ModelMismatch | errors.FaceNotFound | errors.InvalidName | BadProcessor
    ):
        return invalid(str(error))
    return None


def response(
    operation: Operation, answer: msgspec.Struct, key: Key | None, context: Context
) -> Any:
    """Return an answer in the configured profile, without collections that are not the key's."""
    if key is not None and isinstance(answer, ListCollections):
        answer = _known_to(key, answer)
    if key is not None and isinstance(answer, ListStreamProcessors):
        answer = stream_processors.known_to(key, answer)
    if context.settings.serve.profile == "2017-11":
        return as_in_2017(operation.name, answer)
    return answer


def _known_to(key: Key, page: ListCollections) -> ListCollections:
    """Return the collections of a page that a key may know of; it may be short, or empty."""
    pairs = zip(page.CollectionIds, page.FaceModelVersions, strict=True)
    known = [(name, model) for name, model in pairs if key.reaches("collection", name)]
    return ListCollections(
        CollectionIds=tuple(name for name, _ in known),
        NextToken=page.NextToken,
        FaceModelVersions=tuple(model for _, model in known),
    )


REKOGNITION = Service(
    name=names.SERVICE,
    target="RekognitionService",
    content_type="application/x-amz-json-1.1",
    operations=OPERATIONS,
    resources=resources,
    refusal=refusal,
    response=response,
)
