"""Operations on images alone: DetectFaces, DetectText, CompareFaces."""

from collections.abc import Sequence
from typing import cast

import msgspec
import numpy as np

from onlooker.api.context import Context
from onlooker.api.errors import invalid
from onlooker.api.rekognition import requests, responses
from onlooker.api.rekognition.face_input import (
    face_details,
    find_faces,
    largest,
    threshold,
    wanted_faces,
)
from onlooker.api.rekognition.image_input import DecodedImage
from onlooker.config.schema import QualityFilter
from onlooker.identity.search.similarity import similarities
from onlooker.models import readers
from onlooker.rekognition.face_detail import detected_face
from onlooker.rekognition.ratios import bounding_box, percent, rounded
from onlooker.rekognition.shapes import RegionOfInterest, TextFilters
from onlooker.rekognition.text_detection import text_detections
from onlooker.vision import unindexed_reasons
from onlooker.vision.analyser import AnalysedFace, Analyser, Wanted

MAX_WORDS = {"current": 100, "2017-11": 50}
MAX_ANGLE_DEGREES = {"current": 90.0, "2017-11": 30.0}
"""Degrees that text may be rotated."""


def detect_faces(
    request: requests.DetectFaces,
    images: Sequence[DecodedImage],
    context: Context,
    analyser: Analyser,
) -> responses.DetectFaces:
    [image] = images
    attributes = request.Attributes or ()
    faces, orientation = find_faces(context, analyser, image, wanted_faces(attributes))
    details = face_details(image, faces, attributes)
    return responses.DetectFaces(FaceDetails=tuple(details), OrientationCorrection=orientation)


def detect_text(
    request: requests.DetectText,
    images: Sequence[DecodedImage],
    context: Context,
    analyser: Analyser,
) -> responses.DetectText:
    [image] = images
    profile = context.settings.serve.profile
    [analysis] = analyser([image.still], [Wanted(faces=False)])
    found = text_detections(
        analysis.lines,
        image.size,
        filters=None if request.Filters is None else text_filters(request.Filters),
        max_words=MAX_WORDS[profile],
        max_angle=MAX_ANGLE_DEGREES[profile],
        basic_latin=profile == "2017-11",
    )
    return responses.DetectText(
        TextDetections=found, TextModelVersion=readers.model_version(context.settings.text)
    )


def check_filters(request: requests.DetectText, context: Context) -> None:
    """Check the filters of a request. Raises Refusal."""
    if request.Filters is not None:
        text_filters(request.Filters)


def text_filters(
    given: requests.DetectTextFilters | requests.StartTextDetectionFilters,
) -> TextFilters:
    """Return filters whose boxes and polygons are complete. Raises Refusal."""
    try:
        filters = msgspec.convert(msgspec.to_builtins(given), TextFilters)
    except msgspec.ValidationError as error:
        raise invalid(f"Filters: {error}.") from error
    if RegionOfInterest() in filters.RegionsOfInterest:
        raise invalid("Filters.RegionsOfInterest: each must have a BoundingBox or a Polygon.")
    return filters


def compare_faces(
    request: requests.CompareFaces,
    images: Sequence[DecodedImage],
    context: Context,
    analyser: Analyser,
) -> responses.CompareFaces:
    source, target = images
    level = cast(QualityFilter, request.QualityFilter or "NONE")
    select = unindexed_reasons.passing(level)
    faces, source_orientation = find_faces(
        context, analyser, source, wanted_faces(select=select, max_faces=1)
    )
    compared = largest(faces, "SourceImage")
    found, target_orientation = find_faces(context, analyser, target, wanted_faces(select=select))
    # Faces that the filter keeps out are not listed at all, as if they had not been found.
    others = [face for face in found if level == "NONE" or not face.reasons]
    likeness = _likeness(context, compared, others)
    least = threshold(request.SimilarityThreshold)
    best = np.argsort([-value for value in likeness], kind="stable").tolist()
    return responses.CompareFaces(
        SourceImageFace=responses.ComparedSourceImageFace(
            BoundingBox=bounding_box(compared.face.box, source.size),
            Confidence=percent(compared.face.score),
        ),
        FaceMatches=tuple(
            responses.CompareFacesMatch(
                Similarity=rounded(likeness[n], 4),
                Face=detected_face(others[n].face, target.size),
            )
            for n in best
            if likeness[n] >= least
        ),
        UnmatchedFaces=tuple(
            detected_face(others[n].face, target.size) for n in best if likeness[n] < least
        ),
        SourceImageOrientationCorrection=source_orientation,
        TargetImageOrientationCorrection=target_orientation,
    )


def _likeness(
    context: Context, compared: AnalysedFace, others: Sequence[AnalysedFace]
) -> list[float]:
    """Return the Similarity, 0 to 100, of a face to each of others; -1 for one without a vector."""
    vectors = [each.vector for each in others if each.vector is not None]
    if not vectors:
        return [-1.0] * len(others)
    found = iter(similarities(compared.row[0], np.stack(vectors), context.searcher.space))
    return [-1.0 if each.vector is None else next(found) for each in others]
