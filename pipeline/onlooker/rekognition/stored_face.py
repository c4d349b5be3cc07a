"""A collection's faces as Amazon tells of them."""

from onlooker.rekognition.ratios import rounded
from onlooker.rekognition.shapes import BoundingBox, Face, FaceMatch
from onlooker.types import Identity, StoredFace


def stored_face(face: StoredFace, model: str | None = None) -> Face:
    """A face as it is stored.

    model: the collection's, which lists and searches tell, together with the face's user; stream
    records and answers to indexing tell neither.
    """
    left, top, width, height = face.box
    return Face(
        FaceId=face.face_id,
        BoundingBox=BoundingBox(
            Width=rounded(width, 6),
            Height=rounded(height, 6),
            Left=rounded(left, 6),
            Top=rounded(top, 6),
        ),
        ImageId=face.image_id,
        ExternalImageId=face.external_image_id,
        Confidence=rounded(face.confidence, 4),
        IndexFacesModelVersion=model,
        UserId=None if model is None else face.user_id,
    )


def face_match(identity: Identity, model: str | None = None) -> FaceMatch:
    """A stored face that was found, and how like it is."""
    return FaceMatch(
        Similarity=rounded(identity.similarity, 4), Face=stored_face(identity.face, model)
    )
