"""Operations on collections and their faces."""

from typing import cast

import numpy as np
from numpy.typing import NDArray

from onlooker.api.errors import Refusal
from onlooker.api.rekognition import requests, responses
from onlooker.api.rekognition.image_input import take
from onlooker.api.rekognition.images import THRESHOLD, details, faces_wanted, largest, seen
from onlooker.api.rekognition.site import Site, model_version
from onlooker.config.schema import QualityFilter
from onlooker.identity.errors import FaceNotFound, mismatch
from onlooker.identity.faces import NewFace
from onlooker.rekognition.ratios import bounding_box, percent
from onlooker.rekognition.shapes import Reason, UnindexedFace
from onlooker.rekognition.stored_face import face_match, stored_face
from onlooker.vision.analyser import Analyser
from onlooker.vision.quality import best, passing

MOST = 4096
"""Entries of a list's page, and faces that a search finds, where the request does not say."""


def create_collection(request: requests.CreateCollection, site: Site) -> responses.CreateCollection:
    made = site.searcher.create_collection(request.CollectionId, request.Tags)
    return responses.CreateCollection(
        StatusCode=200,
        CollectionArn=site.arn(made.name),
        FaceModelVersion=model_version(made.model),
    )


def describe_collection(
    request: requests.DescribeCollection, site: Site
) -> responses.DescribeCollection:
    found = site.searcher.collection(request.CollectionId)
    return responses.DescribeCollection(
        FaceCount=found.faces,
        FaceModelVersion=model_version(found.model),
        CollectionARN=site.arn(found.name),
        CreationTimestamp=round(found.created, 3),
        UserCount=found.users,
    )


def delete_collection(request: requests.DeleteCollection, site: Site) -> responses.DeleteCollection:
    site.searcher.delete_collection(request.CollectionId)
    return responses.DeleteCollection(StatusCode=200)


def list_collections(request: requests.ListCollections, site: Site) -> responses.ListCollections:
    page = site.searcher.collections(request.MaxResults or MOST, request.NextToken or None)
    return responses.ListCollections(
        CollectionIds=tuple(one.name for one in page.collections),
        NextToken=page.token,
        FaceModelVersions=tuple(model_version(one.model) for one in page.collections),
    )


def index_faces(
    request: requests.IndexFaces, site: Site, analyser: Analyser
) -> responses.IndexFaces:
    check_model(request.CollectionId, site)
    taken = take(request.Image, "Image", site)
    size = taken.still.width, taken.still.height
    default = "NONE" if site.settings.serve.profile == "2017-11" else "AUTO"
    level = cast(QualityFilter, request.QualityFilter or default)
    attributes = request.DetectionAttributes or ()
    wanted = faces_wanted(attributes, best(level, request.MaxFaces))
    found, orientation = seen(site, analyser, taken, wanted)
    kept = [one for one in found if one.vector is not None]
    # Those that are not good enough first, then those that are too many.
    dropped = sorted(
        (one for one in found if one.vector is None),
        key=lambda one: one.reasons == ("EXCEEDS_MAX_FACES",),
    )
    new = []
    for one in kept:
        box = bounding_box(one.face.box, size)
        new.append(
            NewFace(
                picture=taken.data,
                external_image_id=request.ExternalImageId,
                box=(box.Left, box.Top, box.Width, box.Height),
                confidence=percent(one.face.score),
                vector=one.row[0],
            )
        )
    stored = site.searcher.add(request.CollectionId, new)
    return responses.IndexFaces(
        FaceRecords=tuple(
            responses.FaceRecord(Face=stored_face(face), FaceDetail=detail)
            for face, detail in zip(stored, details(taken, kept, attributes), strict=True)
        ),
        OrientationCorrection=orientation,
        FaceModelVersion=site.face_model,
        UnindexedFaces=tuple(
            UnindexedFace(Reasons=cast(tuple[Reason, ...], one.reasons), FaceDetail=detail)
            for one, detail in zip(dropped, details(taken, dropped, attributes), strict=True)
        ),
    )


def check_model(collection: str, site: Site) -> None:
    """ModelMismatch for a collection of another's vectors, before a picture is looked at in vain.

    Raises CollectionNotFound.
    """
    known = site.searcher.collection(collection).model
    if known != site.space.name:
        raise mismatch(collection, known, site.space.name)


def vector_of(site: Site, collection: str, face_id: str) -> NDArray[np.float32]:
    """(1, dim): the vector of a face of a collection; Refusal where it is not there."""
    try:
        return site.searcher.vectors(collection, [face_id])
    except FaceNotFound as error:
        raise Refusal(
            "InvalidParameterException", f"faceId was not found in the collection. {error}"
        ) from error


def list_faces(request: requests.ListFaces, site: Site) -> responses.ListFaces:
    model = model_version(site.searcher.collection(request.CollectionId).model)
    page = site.searcher.faces(
        request.CollectionId,
        request.FaceIds,
        request.UserId,
        request.MaxResults or MOST,
        request.NextToken or None,
    )
    return responses.ListFaces(
        Faces=tuple(stored_face(face, model) for face in page.faces),
        NextToken=page.token,
        FaceModelVersion=model,
    )


def delete_faces(request: requests.DeleteFaces, site: Site) -> responses.DeleteFaces:
    done = site.searcher.delete_faces(request.CollectionId, request.FaceIds)
    return responses.DeleteFaces(
        DeletedFaces=tuple(done.deleted),
        UnsuccessfulFaceDeletions=tuple(
            responses.UnsuccessfulFace(
                FaceId=one.face_id, UserId=one.user_id, Reasons=(one.reason,)
            )
            for one in done.failed
        ),
    )


def search_faces(request: requests.SearchFaces, site: Site) -> responses.SearchFaces:
    searched = request.FaceId
    check_model(request.CollectionId, site)
    vectors = vector_of(site, request.CollectionId, searched)
    most = request.MaxFaces or MOST
    least = THRESHOLD if request.FaceMatchThreshold is None else request.FaceMatchThreshold
    # One more, as the face itself is not told of.
    [found] = site.searcher.search_faces(request.CollectionId, vectors, least, most + 1)
    others = [one for one in found if one.face.face_id != searched][:most]
    model = site.face_model
    return responses.SearchFaces(
        SearchedFaceId=searched,
        FaceMatches=tuple(face_match(one, model) for one in others),
        FaceModelVersion=model,
    )


def search_faces_by_image(
    request: requests.SearchFacesByImage, site: Site, analyser: Analyser
) -> responses.SearchFacesByImage:
    model = site.face_model
    check_model(request.CollectionId, site)
    taken = take(request.Image, "Image", site)
    level = cast(QualityFilter, request.QualityFilter or "NONE")
    found, _ = seen(site, analyser, taken, faces_wanted(select=passing(level), max_faces=1))
    one = largest(found, "Image")
    least = THRESHOLD if request.FaceMatchThreshold is None else request.FaceMatchThreshold
    [matches] = site.searcher.search_faces(
        request.CollectionId,
        one.row,
        least,
        request.MaxFaces or MOST,
    )
    return responses.SearchFacesByImage(
        SearchedFaceBoundingBox=bounding_box(one.face.box, (taken.still.width, taken.still.height)),
        SearchedFaceConfidence=percent(one.face.score),
        FaceMatches=tuple(face_match(match, model) for match in matches),
        FaceModelVersion=model,
    )
