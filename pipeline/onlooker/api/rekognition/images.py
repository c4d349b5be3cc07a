"""Operations on pictures alone: DetectFaces, DetectText, CompareFaces."""

from collections.abc import Sequence
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
from onlooker.rekognition.face_detail import detected_face, face_detail, fields
from onlooker.rekognition.ratios import bounding_box, percent, rounded
from onlooker.rekognition.shapes import FaceDetail, RegionOfInterest, TextFilters
from onlooker.rekognition.text_detection import text_detections
from onlooker.vision import quality
from onlooker.vision.analyser import AnalysedFace, Analyser, Detection, Wanted
from onlooker.vision.quality import Select

THRESHOLD = 80.0
"""Least Similarity where the request does not say one."""
MOST_WORDS = {"current": 100, "2017-11": 50}
MAX_ANGLE = {"current": 90.0, "2017-11": 30.0}
"""Degrees that text may be turned."""


def seen(
    site: Site, analyser: Analyser, taken: Taken, wanted: Wanted
) -> tuple[tuple[AnalysedFace, ...], responses.Orientation | None]:
    """Return the faces of an image, largest first, and its orientation if the profile tells it."""
    orientation = None
    if site.settings.serve.profile == "2017-11":
        found, orientation = find(analyser, taken)
        [analysis] = analyser.recognise([taken.still], [Detection(found)], [wanted])
    else:
        [analysis] = analyser([taken.still], [wanted])
    return analysis.faces, orientation


def faces_wanted(
    attributes: Sequence[str] = (), select: Select | None = None, max_faces: int | None = None
) -> Wanted:
    """Return what to find out about the faces of an image: Amazon's `attributes`, and vectors."""
    return Wanted(
        text=False,
        mesh=True,
        max_faces=max_faces,
        attributes=fields(attributes),
        select=select,
    )


def details(
    taken: Taken, faces: Sequence[AnalysedFace], attributes: Sequence[str] = ()
) -> list[FaceDetail]:
    """Return what Amazon's `attributes` ask for of each face."""
    size = taken.still.width, taken.still.height
    return [face_detail(one.face, size, attributes) for one in faces]


def detect_faces(
    request: requests.DetectFaces, site: Site, analyser: Analyser
) -> responses.DetectFaces:
    taken = take(request.Image, "Image", site)
    attributes = request.Attributes or ()
    faces, orientation = seen(site, analyser, taken, faces_wanted(attributes))
    found = details(taken, faces, attributes)
    return responses.DetectFaces(FaceDetails=tuple(found), OrientationCorrection=orientation)


def detect_text(
    request: requests.DetectText, site: Site, analyser: Analyser
) -> responses.DetectText:
    filters = None if request.Filters is None else _filters(request.Filters)
    still = take(request.Image, "Image", site).still
    profile = site.settings.serve.profile
    [analysis] = analyser([still], [Wanted(faces=False)])
    found = text_detections(
        analysis.lines,
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
    select = quality.passing(level)
    faces, source_orientation = seen(
        site, analyser, source, faces_wanted(select=select, max_faces=1)
    )
    one = largest(faces, "SourceImage")
    found, target_orientation = seen(site, analyser, target, faces_wanted(select=select))
    # Faces that the filter keeps out are left out, as if they had not been found.
    others = [face for face in found if level == "NONE" or not face.reasons]
    likeness = _likeness(site, one, others)
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


def largest(faces: Sequence[AnalysedFace], member: str) -> AnalysedFace:
    """Return the face that is compared. Raises Refusal if there is none, or none good enough."""
    if not faces:
        raise no_faces(f"None was found in {member}.")
    if why := faces[0].reasons:
        x1, _, x2, _ = faces[0].face.box
        raise no_faces(
            f"The largest of {member}, {x2 - x1:.0f} pixels wide, is not good enough to be "
            f"compared: {', '.join(why)}."
        )
    return faces[0]


def _likeness(
    site: Site, one: AnalysedFace, others: Sequence[AnalysedFace]
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return the Similarity, 0 to 100, of a face to each of others; -1 for one without a vector."""
    calibration = site.space.calibration
    vectors = [each.vector for each in others if each.vector is not None]
    if one.vector is None or not vectors:
        return np.full(len(others), -1.0)
    theirs = np.stack(vectors)
    if calibration.metric == "cosine":
        values = theirs @ one.vector
    else:
        values = np.linalg.norm(theirs - one.vector, axis=1)
    found = iter(values.tolist())
    return np.array(
        [-1.0 if each.vector is None else similarity(next(found), calibration) for each in others]
    )
