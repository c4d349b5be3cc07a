"""Operations on the users of a collection: people, to whom faces belong."""

from collections.abc import Sequence
from typing import cast

import numpy as np

from onlooker.api.context import Context
from onlooker.api.errors import invalid
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
from onlooker.api.rekognition.names import face_model_version
from onlooker.api.service import Continue
from onlooker.config.schema import QualityFilter
from onlooker.identity.faces import MIN_ASSOCIATION, USERS_PER_PAGE, Associations, UserIdentity
from onlooker.rekognition.ratios import rounded
from onlooker.vision import unindexed_reasons
from onlooker.vision.analyser import Analyser


def create_user(request: requests.CreateUser, context: Context) -> responses.Empty:
    context.searcher.create_user(request.CollectionId, request.UserId, request.ClientRequestToken)
    return responses.Empty()


def delete_user(request: requests.DeleteUser, context: Context) -> responses.Empty:
    context.searcher.delete_user(request.CollectionId, request.UserId, request.ClientRequestToken)
    return responses.Empty()


def list_users(request: requests.ListUsers, context: Context) -> responses.ListUsers:
    page = context.searcher.users(
        request.CollectionId, request.MaxResults or USERS_PER_PAGE, request.NextToken or None
    )
    return responses.ListUsers(
        Users=tuple(
            responses.User(UserId=each.user_id, UserStatus=each.status) for each in page.users
        ),
        NextToken=page.token,
    )


def associate_faces(request: requests.AssociateFaces, context: Context) -> responses.AssociateFaces:
    done = context.searcher.associate(
        request.CollectionId,
        request.UserId,
        request.FaceIds,
        threshold(request.UserMatchThreshold, MIN_ASSOCIATION),
        request.ClientRequestToken,
    )
    return responses.AssociateFaces(
        AssociatedFaces=_faces(done),
        UnsuccessfulFaceAssociations=_failures(done),
        UserStatus=done.status,
    )


def disassociate_faces(
    request: requests.DisassociateFaces, context: Context
) -> responses.DisassociateFaces:
    done = context.searcher.disassociate(
        request.CollectionId, request.UserId, request.FaceIds, request.ClientRequestToken
    )
    return responses.DisassociateFaces(
        DisassociatedFaces=_faces(done),
        UnsuccessfulFaceDisassociations=_failures(done),
        UserStatus=done.status,
    )


def _faces(done: Associations) -> tuple[responses.AssociatedFace, ...]:
    return tuple(responses.AssociatedFace(FaceId=face_id) for face_id in done.faces)


def _failures(done: Associations) -> tuple[responses.UnsuccessfulFace, ...]:
    return tuple(
        responses.UnsuccessfulFace(
            FaceId=each.face_id,
            UserId=each.user_id,
            Confidence=None if each.confidence is None else rounded(each.confidence, 4),
            Reasons=(each.reason,),
        )
        for each in done.failed
    )


def search_users(request: requests.SearchUsers, context: Context) -> responses.SearchUsers:
    if (request.UserId is None) == (request.FaceId is None):
        number = "none" if request.UserId is None else "both"
        raise invalid(f"There must be exactly one of UserId and FaceId; there is {number}.")
    check_model(request, context)
    collection, limit = request.CollectionId, request.MaxUsers or USERS_PER_PAGE
    face = user = None
    if request.FaceId is not None:
        face = responses.AssociatedFace(FaceId=request.FaceId)
        vectors = stored_vector(context, collection, request.FaceId)
    else:
        user = responses.SearchedUser(UserId=cast(str, request.UserId))
        mean = context.searcher.user_vector(collection, user.UserId)
        if mean is None:  # a user without faces is like nobody
            vectors = np.empty((0, context.searcher.space.dim), np.float32)
        elif context.searcher.space.calibration.metric == "cosine":
            vectors = (mean / np.linalg.norm(mean))[None]
        else:
            vectors = mean[None]
    # One more, as the searched user finds itself and is left out.
    found = context.searcher.search_users(
        collection, vectors, threshold(request.UserMatchThreshold), limit + 1
    )
    others = [match for each in found for match in each if match.user.user_id != request.UserId]
    return responses.SearchUsers(
        UserMatches=tuple(map(_match, others[:limit])),
        FaceModelVersion=face_model_version(context),
        SearchedFace=face,
        SearchedUser=user,
    )


def search_users_by_image(
    request: requests.SearchUsersByImage,
    images: Sequence[DecodedImage],
    context: Context,
    analyser: Analyser,
) -> Continue:
    """Embed the largest face and describe all; users are searched without the models."""
    [image] = images
    select = unindexed_reasons.largest(cast(QualityFilter, request.QualityFilter or "NONE"))
    faces, _ = find_faces(context, analyser, image, wanted_faces(select=select))
    vectors = largest(faces, "Image").row
    searched, *others = face_details(image, faces)
    unsearched = tuple(
        responses.UnsearchedFace(
            FaceDetails=detail,
            Reasons=cast(tuple[responses.UnsearchedReason, ...], face.reasons),
        )
        for face, detail in zip(faces[1:], others, strict=True)
    )

    def search() -> responses.SearchUsersByImage:
        [matches] = context.searcher.search_users(
            request.CollectionId,
            vectors,
            threshold(request.UserMatchThreshold),
            request.MaxUsers or USERS_PER_PAGE,
        )
        return responses.SearchUsersByImage(
            UserMatches=tuple(map(_match, matches)),
            FaceModelVersion=face_model_version(context),
            SearchedFace=responses.SearchedFaceDetails(FaceDetail=searched),
            UnsearchedFaces=unsearched,
        )

    return Continue("store", search)


def _match(found: UserIdentity) -> responses.UserMatch:
    return responses.UserMatch(
        Similarity=rounded(found.similarity, 4),
        User=responses.User(UserId=found.user.user_id, UserStatus=found.user.status),
    )
