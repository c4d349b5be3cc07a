"""Operations on collections and their faces."""

from collections.abc import Sequence
from typing import cast

from onlooker.api.context import Context
from onlooker.api.rekognition import requests, responses
from onlooker.api.rekognition.face_input import (
    check_model,
    face_details,
    find_faces,
    largest,
    stored_vector,
    threshold,
    wanted_faces,
)
from onlooker.api.rekognition.image_input import DecodedImage
from onlooker.api.rekognition.names import collection_arn, face_model_version, model_version
from onlooker.api.service import Continue
from onlooker.config.schema import QualityFilter
from onlooker.identity.faces import FACES_PER_PAGE, NewFace
from onlooker.rekognition.face_detail import face_match, stored_face
from onlooker.rekognition.ratios import bounding_box, percent
from onlooker.rekognition.shapes import Reason, UnindexedFace
from onlooker.vision import unindexed_reasons
from onlooker.vision.analyser import Analyser


def create_collection(
    request: requests.CreateCollection, context: Context
) -> responses.CreateCollection:
    made = context.searcher.create_collection(request.CollectionId, request.Tags)
    return responses.CreateCollection(
        StatusCode=200,
        CollectionArn=collection_arn(context, made.name),
        FaceModelVersion=model_version(made.model),
    )


def describe_collection(
    request: requests.DescribeCollection, context: Context
) -> responses.DescribeCollection:
    found = context.searcher.collection(request.CollectionId)
    return responses.DescribeCollection(
        FaceCount=found.faces,
        FaceModelVersion=model_version(found.model),
        CollectionARN=collection_arn(context, found.name),
        CreationTimestamp=round(found.created, 3),
        UserCount=found.users,
    )


def delete_collection(
    request: requests.DeleteCollection, context: Context
) -> responses.DeleteCollection:
    context.searcher.delete_collection(request.CollectionId)
    return responses.DeleteCollection(StatusCode=200)


def list_collections(
    request: requests.ListCollections, context: Context
) -> responses.ListCollections:
    page = context.searcher.collections(
        request.MaxResults or FACES_PER_PAGE, request.NextToken or None
    )
    return responses.ListCollections(
        CollectionIds=tuple(each.name for each in page.collections),
        NextToken=page.token,
        FaceModelVersions=tuple(model_version(each.model) for each in page.collections),
    )


def index_faces(
    request: requests.IndexFaces,
    images: Sequence[DecodedImage],
    context: Context,
    analyser: Analyser,
) -> Continue:
    """Find, describe and embed the faces; they are stored without the models."""
    [image] = images
    default = "NONE" if context.settings.serve.profile == "2017-11" else "AUTO"
    level = cast(QualityFilter, request.QualityFilter or default)
    attributes = request.DetectionAttributes or ()
    wanted = wanted_faces(attributes, unindexed_reasons.best(level, request.MaxFaces))
    found, orientation = find_faces(context, analyser, image, wanted)
    indexed = [each for each in found if each.vector is not None]
    # Those that are not good enough first, then those that are too many.
    unindexed = sorted(
        (each for each in found if each.vector is None),
        key=lambda each: each.reasons == ("EXCEEDS_MAX_FACES",),
    )
    details = face_details(image, indexed, attributes)
    others = face_details(image, unindexed, attributes)
    new = []
    for each in indexed:
        box = bounding_box(each.face.box, image.size)
        new.append(
            NewFace(
                picture=image.data,
                external_image_id=request.ExternalImageId,
                box=(box.Left, box.Top, box.Width, box.Height),
                confidence=percent(each.face.score),
                vector=each.row[0],
            )
        )
    reasons = [cast(tuple[Reason, ...], each.reasons) for each in unindexed]

    def store() -> responses.IndexFaces:
        stored = context.searcher.add(request.CollectionId, new)
        return responses.IndexFaces(
            FaceRecords=tuple(
                responses.FaceRecord(Face=stored_face(face), FaceDetail=detail)
                for face, detail in zip(stored, details, strict=True)
            ),
            OrientationCorrection=orientation,
            FaceModelVersion=face_model_version(context),
            UnindexedFaces=tuple(
                UnindexedFace(Reasons=why, FaceDetail=detail)
                for why, detail in zip(reasons, others, strict=True)
            ),
        )

    return Continue("store", store)


def list_faces(request: requests.ListFaces, context: Context) -> responses.ListFaces:
    model = model_version(context.searcher.collection(request.CollectionId).model)
    page = context.searcher.faces(
        request.CollectionId,
        request.FaceIds,
        request.UserId,
        request.MaxResults or FACES_PER_PAGE,
        request.NextToken or None,
    )
    return responses.ListFaces(
        Faces=tuple(stored_face(face, model) for face in page.faces),
        NextToken=page.token,
        FaceModelVersion=model,
    )


def delete_faces(request: requests.DeleteFaces, context: Context) -> responses.DeleteFaces:
    done = context.searcher.delete_faces(request.CollectionId, request.FaceIds)
    return responses.DeleteFaces(
        DeletedFaces=tuple(done.deleted),
        UnsuccessfulFaceDeletions=tuple(
            responses.UnsuccessfulFace(
                FaceId=each.face_id, UserId=each.user_id, Reasons=(each.reason,)
            )
            for each in done.failed
        ),
    )


def search_faces(request: requests.SearchFaces, context: Context) -> responses.SearchFaces:
    check_model(request, context)
    vectors = stored_vector(context, request.CollectionId, request.FaceId)
    limit = request.MaxFaces or FACES_PER_PAGE
    # One more, as the searched face finds itself and is left out.
    [found] = context.searcher.search_faces(
        request.CollectionId, vectors, threshold(request.FaceMatchThreshold), limit + 1
    )
    others = [match for match in found if match.face.face_id != request.FaceId][:limit]
    model = face_model_version(context)
    return responses.SearchFaces(
        SearchedFaceId=request.FaceId,
        FaceMatches=tuple(face_match(match, model) for match in others),
        FaceModelVersion=model,
    )


def search_faces_by_image(
    request: requests.SearchFacesByImage,
    images: Sequence[DecodedImage],
    context: Context,
    analyser: Analyser,
) -> Continue:
    """Embed the largest face; it is searched without the models."""
    [image] = images
    select = unindexed_reasons.passing(cast(QualityFilter, request.QualityFilter or "NONE"))
    faces, _ = find_faces(context, analyser, image, wanted_faces(select=select, max_faces=1))
    searched = largest(faces, "Image")
    box = bounding_box(searched.face.box, image.size)

    def search() -> responses.SearchFacesByImage:
        [matches] = context.searcher.search_faces(
            request.CollectionId,
            searched.row,
            threshold(request.FaceMatchThreshold),
            request.MaxFaces or FACES_PER_PAGE,
        )
        model = face_model_version(context)
        return responses.SearchFacesByImage(
            SearchedFaceBoundingBox=box,
            SearchedFaceConfidence=percent(searched.face.score),
            FaceMatches=tuple(face_match(match, model) for match in matches),
            FaceModelVersion=model,
        )

    return Continue("store", search)
