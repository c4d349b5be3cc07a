"""Putting people into a collection from pictures on disk.

A folder of folders gives each picture its folder's name as ExternalImageId; pictures that lie
flat in the folder given, or are named themselves, get the file's stem.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from onlooker import config
from onlooker.identity.store import NewFace, Store
from onlooker.media import image
from onlooker.record.ratios import bounding_box
from onlooker.types import StoredFace
from onlooker.vision.embed import FaceEmbedder
from onlooker.vision.faces import FaceFinder
from onlooker.vision.mesh import Mesher, unlaid
from onlooker.vision.quality import reasons

SUFFIXES = {".jpg", ".jpeg", ".png"}


class Enrolled(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one picture."""

    path: Path
    external_image_id: str
    stored: StoredFace | None = None
    passed_over: int = 0
    """Further, smaller faces in the picture, which were not indexed."""
    reason: str = ""
    """Why nothing was stored."""


def pictures(paths: Iterable[Path]) -> Iterator[tuple[Path, str]]:
    """Every JPEG and PNG under `paths` with its ExternalImageId, in a stable order.

    Raises FileNotFoundError for a path that is not there.
    """
    for root in paths:
        if not root.exists():
            raise FileNotFoundError(f"{root}: no such file or folder")
        if root.is_file():
            yield root, external_image_id(root.stem)
            continue
        for path in sorted(root.rglob("*")):
            if path.suffix.lower() in SUFFIXES and path.is_file():
                name = path.stem if path.parent == root else path.parent.name
                yield path, external_image_id(name)


def external_image_id(name: str) -> str:
    """`name` with what Amazon's pattern [a-zA-Z0-9_.:-]+ does not allow turned into underscores."""
    return re.sub(r"[^a-zA-Z0-9_.:-]", "_", name)[:255] or "_"


class Enroller:
    """Finds the largest face of a picture and stores its vector.

    Only the largest: a portrait names one person, and a passer-by behind them must not get
    that name.
    """

    def __init__(self, store: Store, collection: str, settings: config.Config) -> None:
        self.store = store
        self.collection = collection
        self.settings = settings.faces
        self.find = FaceFinder(settings.faces, settings.runtime.provider)
        self.lay = Mesher(settings.runtime.provider) if settings.faces.mesh else unlaid
        self.embed = FaceEmbedder(settings.faces, settings.runtime.provider)

    def __call__(self, path: Path, name: str) -> Enrolled:
        """Store the largest face of the picture at `path` under `name`, or say why not."""
        result = Enrolled(path=path, external_image_id=name)
        try:
            data = path.read_bytes()
            picture = image.decode(data, str(path))
        except OSError as error:
            return msgspec.structs.replace(result, reason=f"{path}: {error.strerror}")
        except image.MediaError as error:
            return msgspec.structs.replace(result, reason=str(error))
        faces = self.find(picture)
        if not faces:
            return msgspec.structs.replace(result, reason="no face found")
        [seen] = self.lay(picture, faces[:1])
        face = seen.face
        if why := reasons(face, self.settings.quality, self.embed.space.smallest):
            width, sharpness = face.box[2] - face.box[0], face.quality.sharpness
            said = f"{width:.0f} px wide, sharpness {sharpness:.0f}"
            reason = f"not good enough to be recognised, {', '.join(why)}: {said}"
            return msgspec.structs.replace(result, reason=reason)
        box = bounding_box(face.box, (picture.width, picture.height))
        new = NewFace(
            picture=data,
            external_image_id=name,
            box=(box.Left, box.Top, box.Width, box.Height),
            confidence=face.score * 100,
            vector=self.embed(picture, [seen])[0],
        )
        [stored] = self.store.add(self.collection, [new])
        return msgspec.structs.replace(result, stored=stored, passed_over=len(faces) - 1)
