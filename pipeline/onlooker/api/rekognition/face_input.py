"""Faces that a request is about: found in an image, or named by their FaceId."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from onlooker.api.context import Context
from onlooker.api.errors import Refusal, no_faces
from onlooker.api.rekognition.image_input import DecodedImage
from onlooker.api.rekognition.orientation import find_upright
from onlooker.api.rekognition.requests import InCollection, StartFaceSearch
from onlooker.api.rekognition.responses import Orientation
from onlooker.identity.errors import FaceNotFound, mismatch
from onlooker.identity.faces import MIN_SIMILARITY
from onlooker.rekognition.face_detail import face_detail, fields
from onlooker.rekognition.shapes import FaceDetail
from onlooker.vision.analyser import AnalysedFace, Analyser, Detection, Wanted
from onlooker.vision.unindexed_reasons import Select


def wanted_faces(
    attributes: Sequence[str] = (), select: Select | None = None, max_faces: int | None = None
) -> Wanted:
    """Return what to find out about faces: Amazon's `attributes`, and vectors of the selected."""
    return Wanted(
        text=False, mesh=True, max_faces=max_faces, attributes=fields(attributes), select=select
    )


def find_faces(
    context: Context, analyser: Analyser, image: DecodedImage, wanted: Wanted
) -> tuple[tuple[AnalysedFace, ...], Orientation | None]:
    """Return the faces of an image, largest first, and its orientation if the profile tells it."""
    if context.settings.serve.profile == "2017-11":
        found, orientation = find_upright(analyser, image)
        [analysis] = analyser.recognise([image.still], [Detection(found)], [wanted])
    else:
        [analysis], orientation = analyser([image.still], [wanted]), None
    return analysis.faces, orientation


def largest(faces: Sequence[AnalysedFace], member: str) -> AnalysedFace:
    """Return the face to be compared. Raises Refusal if there is none, or none good enough."""
    if not faces:
        raise no_faces(f"None was found in {member}.")
    if why := faces[0].reasons:
        x1, _, x2, _ = faces[0].face.box
        raise no_faces(
            f"The largest of {member}, {x2 - x1:.0f} pixels wide, is not good enough to be "
            f"compared: {', '.join(why)}."
        )
    return faces[0]


def face_details(
    image: DecodedImage, faces: Sequence[AnalysedFace], attributes: Sequence[str] = ()
) -> list[FaceDetail]:
    """Return a FaceDetail of each face, with the members that Amazon's `attributes` ask for."""
    return [face_detail(each.face, image.size, attributes) for each in faces]


def check_model(request: InCollection | StartFaceSearch, context: Context) -> None:
    """Check that a collection's vectors are of this server's embedder.

    Raises CollectionNotFound and ModelMismatch.
    """
    known = context.searcher.collection(request.CollectionId).model
    if known != context.searcher.space.name:
        raise mismatch(request.CollectionId, known, context.searcher.space.name)


def stored_vector(context: Context, collection: str, face_id: str) -> NDArray[np.float32]:
    """Return the vector of a collection's face, (1, dim). Raises Refusal if it is not there."""
    try:
        return context.searcher.vectors(collection, [face_id])
    except FaceNotFound as error:
        raise Refusal(
            "InvalidParameterException", f"faceId was not found in the collection. {error}"
        ) from error


def threshold(requested: float | None, default: float = MIN_SIMILARITY) -> float:
    """Return the Similarity, 0 to 100, that a match must reach."""
    return default if requested is None else requested
