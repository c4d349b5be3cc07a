"""Operations on pictures alone: DetectFaces, DetectText, CompareFaces."""

from typing import cast

import msgspec
import numpy as np

from onlooker.api.errors import invalid, no_faces
from onlooker.api.rekognition import requests, responses
from onlooker.api.rekognition.image_input import Taken, take
from onlooker.api.rekognition.orientation import find
from onlooker.api.rekognition.site import Site
from onlooker.config.schema import QualityFilter
from onlooker.identity.search.matcher import similarity
from onlooker.rekognition.face_detail import detected_face
from onlooker.rekognition.ratios import bounding_box, percent, rounded
from onlooker.rekognition.shapes import RegionOfInterest, TextFilters
from onlooker.rekognition.text_detection import text_detections
from onlooker.vision.analyser import Analyser
from onlooker.vision.mesh import Seen

THRESHOLD = 80.0
"""Least Similarity where the request does not say one."""
MOST_WORDS = {"current": 100, "2017-11": 50}
MAX_ANGLE = {"current": 90.0, "2017-11": 30.0}
"""Degrees that text may be turned."""


def seen(
    site: Site, analyser: Analyser, taken: Taken
) -> tuple[list[Seen], responses.Orientation | None]:
    """The faces of a picture, largest first, and its orientation where the profile tells it."""
    if site.settings.serve.profile == "2017-11":
        faces, orientation = find(analyser, taken)
    else:
        faces, orientation = analyser.find(taken.still), None
    return analyser.lay(taken.still, faces), orientation


def detect_faces(
    request: requests.DetectFaces, site: Site, analyser: Analyser
) -> responses.DetectFaces:
    taken = take(request.Image, "Image", site)
    faces, orientation = seen(site, analyser, taken)
    details = analyser.details(taken.still, faces, request.Attributes or ())
    return responses.DetectFaces(FaceDetails=tuple(details), OrientationCorrection=orientation)


def detect_text(
    request: requests.DetectText, site: Site, analyser: Analyser
) -> responses.DetectText:
    filters = None if request.Filters is None else _filters(request.Filters)
    still = take(request.Image, "Image", site).still
    profile = site.settings.serve.profile
    found = text_detections(
        analyser.text(still),
        (still.width, still.height),
        filters=filters,
        most_words=MOST_WORDS[profile],
        max_angle=MAX_ANGLE[profile],
        basic_latin=profile == "2017-11",
    )
    return responses.DetectText(TextDetections=found, TextModelVersion=site.settings.text.reader)


def _filters(given: requests.DetectTextFilters) -> TextFilters:
    try:
        filters = msgspec.convert(msgspec.to_builtins(given), TextFilters)
    except msgspec.ValidationError as error:
        raise invalid(f"Filters: {error}.") from error
    empty = RegionOfInterest()
    if empty in filters.RegionsOfInterest:
        raise invalid("Filters.RegionsOfInterest: each must have a BoundingBox or a Polygon.")
    return filters


def compare_faces(
    request: requests.CompareFaces, site: Site, analyser: Analyser
) -> responses.CompareFaces:
    source = take(request.SourceImage, "SourceImage", site)
    target = take(request.TargetImage, "TargetImage", site)
    level = cast(QualityFilter, request.QualityFilter or "NONE")
    faces, source_orientation = seen(site, analyser, source)
    one = largest(analyser, faces, level, "SourceImage")
    others, target_orientation = seen(site, analyser, target)
    # Faces that the filter keeps out are not told of at all, as if they had not been found.
    others = [face for face in others if level == "NONE" or not analyser.reasons(face, level)]
    likeness = _likeness(analyser, source, one, target, others)
    least = THRESHOLD if request.SimilarityThreshold is None else request.SimilarityThreshold
    size = target.still.width, target.still.height
    best = np.argsort(-likeness, kind="stable").tolist()
    return responses.CompareFaces(
        SourceImageFace=responses.ComparedSourceImageFace(
            BoundingBox=bounding_box(one.face.box, (source.still.width, source.still.height)),
            Confidence=percent(one.face.score),
        ),
        FaceMatches=tuple(
            responses.CompareFacesMatch(
                Similarity=rounded(float(likeness[n]), 4),
                Face=detected_face(others[n].face, size),
            )
            for n in best
            if likeness[n] >= least
        ),
        UnmatchedFaces=tuple(
            detected_face(others[n].face, size) for n in best if likeness[n] < least
        ),
        SourceImageOrientationCorrection=source_orientation,
        TargetImageOrientationCorrection=target_orientation,
    )


def largest(analyser: Analyser, faces: list[Seen], level: QualityFilter, member: str) -> Seen:
    """The face that is compared; Refusal where there is none, or none good enough."""
    if not faces:
        raise no_faces(f"None was found in {member}.")
    if why := analyser.reasons(faces[0], level):
        x1, _, x2, _ = faces[0].face.box
        raise no_faces(
            f"The largest of {member}, {x2 - x1:.0f} pixels wide, is not good enough to be "
            f"compared: {', '.join(why)}."
        )
    return faces[0]


def _likeness(
    analyser: Analyser, source: Taken, one: Seen, target: Taken, others: list[Seen]
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Similarity, 0 to 100, of a face and each of others; less than any where one is too small."""
    calibration = analyser.space.calibration
    [mine] = analyser.vectors(source.still, [one])
    theirs = analyser.vectors(target.still, others)
    if calibration.metric == "cosine":
        values = theirs @ mine
    else:
        values = np.linalg.norm(theirs - mine, axis=1)
    comparable = [not analyser.reasons(face, "NONE") for face in others]
    return np.array(
        [
            similarity(value, calibration) if so else -1.0
            for value, so in zip(values.tolist(), comparable, strict=True)
        ]
    )
