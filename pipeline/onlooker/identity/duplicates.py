"""The rule about duplicates: a named face that is indexed again is stored once.

The FaceId of a face with an ExternalImageId follows from the image's bytes, the ExternalImageId,
the box and the embedder. So the same face has the same FaceId in every process, and the store keeps
the first of each. A face without an ExternalImageId is a new one each time, as with Amazon.
"""

import hashlib
import uuid

from onlooker.identity.faces import NewFace

NAMESPACE = uuid.uuid5(uuid.NAMESPACE_OID, "onlooker/faces")


def image_id(data: bytes) -> str:
    """Return the ImageId of an image file's bytes; the same bytes have the same id everywhere."""
    return str(uuid.uuid5(NAMESPACE, hashlib.sha256(data).hexdigest()))


def face_id(new: NewFace, model: str, image_id: str) -> str:
    """Return a FaceId: always the same for a named face, a random one for an unnamed face."""
    if new.external_image_id is None:
        return str(uuid.uuid4())
    # In thousandths of the image: two faces never share them, and rounding errors rarely change
    # them.
    box = ",".join(str(round(value * 1000)) for value in new.box)
    parts = (model, image_id, new.external_image_id, box)
    return str(uuid.uuid5(NAMESPACE, "|".join(parts)))
