"""Operations on the users of a collection: people, to whom faces belong."""

from typing import cast

import numpy as np

from onlooker.api.errors import invalid
from onlooker.api.rekognition import requests, responses
from onlooker.api.rekognition.collections import check_model, vector_of
from onlooker.api.rekognition.image_input import take
from onlooker.api.rekognition.images import THRESHOLD, details, faces_wanted, largest, seen
from onlooker.api.rekognition.site import Site
from onlooker.config.schema import QualityFilter
from onlooker.identity.faces import Associations, UserIdentity
from onlooker.rekognition.ratios import rounded
from onlooker.vision import quality
from onlooker.vision.analyser import Analyser

MOST = 500
"""Users on a page and of a search, where the request does not say."""
ASSOCIATION_THRESHOLD = 75.0
"""Least Similarity of a face to its user, where the request does not say one."""


def create_user(request: requests.CreateUser, site: Site) -> responses.Empty:
    site.searcher.create_user(request.CollectionId, request.UserId, request.ClientRequestToken)
    return responses.Empty()


def delete_user(request: requests.DeleteUser, site: Site) -> responses.Empty:
    site.searcher.delete_user(request.CollectionId, request.UserId, request.ClientRequestToken)
    return responses.Empty()


def list_users(request: requests.ListUsers, site: Site) -> responses.ListUsers:
    page = site.searcher.users(
        request.CollectionId, request.MaxResults or MOST, request.NextToken or None
    )
    return responses.ListUsers(
        Users=tuple(
            responses.User(UserId=one.user_id, UserStatus=one.status) for one in page.users
        ),
        NextToken=page.token,
    )


def associate_faces(request: requests.AssociateFaces, site: Site) -> responses.AssociateFaces:
    least = request.UserMatchThreshold
    done = site.searcher.associate(
        request.CollectionId,
        request.UserId,
        request.FaceIds,
        ASSOCIATION_THRESHOLD if least is None else least,
        request.ClientRequestToken,
    )
    return responses.AssociateFaces(
        AssociatedFaces=_faces(done),
        UnsuccessfulFaceAssociations=_failures(done),
        UserStatus=done.status,
    )


def disassociate_faces(
    request: requests.DisassociateFaces, site: Site
) -> responses.DisassociateFaces:
    done = site.searcher.disassociate(
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
            FaceId=one.face_id,
            UserId=one.user_id,
            Confidence=None if one.confidence is None else rounded(one.confidence, 4),
            Reasons=(one.reason,),
        )
        for one in done.failed
    )


def search_users(request: requests.SearchUsers, site: Site) -> responses.SearchUsers:
    if (request.UserId is None) == (request.FaceId is None):
        number = "none" if request.UserId is None else "both"
        raise invalid(f"There must be exactly one of UserId and FaceId; there is {number}.")
    collection, most = request.CollectionId, request.MaxUsers or MOST
    check_model(collection, site)
    least = THRESHOLD if request.UserMatchThreshold is None else request.UserMatchThreshold
    face = user = None
    if request.FaceId is not None:
        face = responses.AssociatedFace(FaceId=request.FaceId)
        vectors = vector_of(site, collection, request.FaceId)
    else:
        user = responses.SearchedUser(UserId=cast(str, request.UserId))
        mean = site.searcher.user_vector(collection, user.UserId)
        if mean is None:  # a user without faces is like nobody
            vectors = np.empty((0, site.space.dim), np.float32)
        elif site.space.calibration.metric == "cosine":
            vectors = (mean / np.linalg.norm(mean))[None]
        else:
            vectors = mean[None]
    # One more, as the user searched with is not told of.
    found = site.searcher.search_users(collection, vectors, least, most + 1)
    others = [one for each in found for one in each if one.user.user_id != request.UserId]
    return responses.SearchUsers(
        UserMatches=tuple(map(_match, others[:most])),
        FaceModelVersion=site.face_model,
        SearchedFace=face,
        SearchedUser=user,
    )


def search_users_by_image(
    request: requests.SearchUsersByImage, site: Site, analyser: Analyser
) -> responses.SearchUsersByImage:
    check_model(request.CollectionId, site)
    taken = take(request.Image, "Image", site)
    level = cast(QualityFilter, request.QualityFilter or "NONE")
    found, _ = seen(site, analyser, taken, faces_wanted(select=quality.largest(level)))
    one = largest(found, "Image")
    least = THRESHOLD if request.UserMatchThreshold is None else request.UserMatchThreshold
    [matches] = site.searcher.search_users(
        request.CollectionId, one.row, least, request.MaxUsers or MOST
    )
    searched, *others = details(taken, found)
    return responses.SearchUsersByImage(
        UserMatches=tuple(map(_match, matches)),
        FaceModelVersion=site.face_model,
        SearchedFace=responses.SearchedFaceDetails(FaceDetail=searched),
        UnsearchedFaces=tuple(
            responses.UnsearchedFace(
                FaceDetails=detail,
                Reasons=cast(tuple[responses.UnsearchedReason, ...], other.reasons),
            )
            for other, detail in zip(found[1:], others, strict=True)
        ),
    )


def _match(found: UserIdentity) -> responses.UserMatch:
    return responses.UserMatch(
        Similarity=rounded(found.similarity, 4),
        User=responses.User(UserId=found.user.user_id, UserStatus=found.user.status),
    )
