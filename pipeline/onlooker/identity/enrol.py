"""Putting people into a collection from pictures on disk.

A folder of folders gives each picture its folder's name as ExternalImageId; pictures that lie
flat in the folder given, or are named themselves, get the file's stem.
"""

import multiprocessing
import re
import signal
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import TypeAlias

import msgspec
from msgspec.structs import replace

from onlooker.config import schema
from onlooker.identity.errors import mismatch
from onlooker.identity.faces import NewFace, image_id
from onlooker.identity.store import Store
from onlooker.media import image
from onlooker.media.errors import MediaError
from onlooker.models.card import space
from onlooker.rekognition.ratios import bounding_box
from onlooker.vision.embed import FaceEmbedder
from onlooker.vision.faces import FaceFinder
from onlooker.vision.mesh import Mesher, unlaid
from onlooker.vision.quality import reasons

WORTH_A_PROCESS = 20
"""Pictures for which a process pays that has to load the models first."""
AHEAD = 4
"""Pictures that each process may be ahead of what is stored."""
TOGETHER = 32
PATIENCE = 2.0
"""A commit is for so many pictures, or for what came in so many seconds."""

Known: TypeAlias = frozenset[tuple[str, str]]
"""ImageId and ExternalImageId of what need not be looked at."""


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen in one picture."""

    path: Path
    external_image_id: str
    new: NewFace | None = None
    passed_over: int = 0
    """Further, smaller faces in the picture, which are not to be indexed."""
    reason: str = ""
    """Why there is nothing to store."""
    known: bool = False
    """Whether that is because it is stored already."""


def pictures(paths: Iterable[Path]) -> Iterator[tuple[Path, str]]:
    """Every JPEG and PNG under `paths` with its ExternalImageId, in a stable order.

    Raises MediaError if a path does not exist.
    """
    for root in paths:
        if not root.exists():
            raise MediaError(f"{root}: no such file or folder")
        if root.is_file():
            yield root, external_image_id(root.stem)
            continue
        for path in sorted(root.rglob("*")):
            if path.suffix.lower() in image.IMAGE_SUFFIXES and path.is_file():
                name = path.stem if path.parent == root else path.parent.name
                yield path, external_image_id(name)


def external_image_id(name: str) -> str:
    """`name` with what Amazon's pattern [a-zA-Z0-9_.:-]+ does not allow turned into underscores."""
    return re.sub(r"[^a-zA-Z0-9_.:-]", "_", name)[:255] or "_"


class Looker:
    """Finds the largest face of a picture and its vector.

    Only the largest: a portrait names one person, and a passer-by behind them must not get
    that name.
    """

    def __init__(self, settings: schema.Config) -> None:
        self.settings = settings.faces
        self.find = FaceFinder(settings.faces, settings.runtime.provider)
        self.lay = Mesher(settings.runtime.provider) if settings.faces.mesh else unlaid
        self.embed = FaceEmbedder(settings.faces, settings.runtime.provider)

    def __call__(self, path: Path, name: str, known: Known = frozenset()) -> Look:
        """The largest face of the picture at `path`, to be stored under `name`, or why not."""
        result = Look(path=path, external_image_id=name)
        try:
            data = path.read_bytes()
            if (image_id(data), name) in known:
                return replace(result, reason="is indexed already", known=True)
            picture = image.decode(data, str(path))
        except OSError as error:
            return replace(result, reason=error.strerror or str(error))
        except MediaError as error:
            return replace(result, reason=str(error).removeprefix(f"{path}: "))
        faces = self.find(picture)
        if not faces:
            return replace(result, reason="no face found")
        [seen] = self.lay(picture, faces[:1])
        face = seen.face
        if why := reasons(face, self.settings.quality, self.embed.space.smallest):
            width, sharpness = face.box[2] - face.box[0], face.quality.sharpness
            said = f"{width:.0f} px wide, sharpness {sharpness:.0f}"
            reason = f"not good enough to be recognised, {', '.join(why)}: {said}"
            return replace(result, reason=reason)
        box = bounding_box(face.box, (picture.width, picture.height))
        new = NewFace(
            picture=data,
            external_image_id=name,
            box=(box.Left, box.Top, box.Width, box.Height),
            confidence=face.score * 100,
            vector=self.embed(picture, [seen])[0],
        )
        return replace(result, new=new, passed_over=len(faces) - 1)


def enrol(
    store: Store,
    collection: str,
    found: Sequence[tuple[Path, str]],
    settings: schema.Config,
    jobs: int = 1,
) -> Iterator[Look]:
    """Put pictures, with their names, into a collection; each look when what it saw is on the disk.

    Several pictures share a commit. What is stored already is not looked at again, so a run that
    was broken off goes on where it was. CollectionNotFound, ModelMismatch.
    """
    model, wanted = store.collection(collection).model, space(settings.faces.embedder).name
    if model != wanted:
        raise mismatch(collection, model, wanted)
    waiting: list[Look] = []
    since = time.monotonic()
    for look in _looks(found, settings, _known_of(store, collection), jobs):
        waiting.append(look)
        if len(waiting) >= TOGETHER or time.monotonic() > since + PATIENCE:
            yield from _stored(store, collection, waiting)
            waiting, since = [], time.monotonic()
    yield from _stored(store, collection, waiting)


def models_of(faces: schema.Faces) -> list[str]:
    """The cards of the models that this takes. WeightsError for an embedder that there is not."""
    names = ["yunet", *space(faces.embedder).name.split("+")]
    if faces.detection == "thorough":
        names.append("centerface")
    if faces.mesh:
        names.append("face_mesh_attention")
    return names


def _known_of(store: Store, collection: str) -> Known:
    known: set[tuple[str, str]] = set()
    token = None
    while True:
        page = store.faces(collection, token=token)
        known.update((face.image_id, face.external_image_id or "") for face in page.faces)
        if (token := page.token) is None:
            return frozenset(known)


def _stored(store: Store, collection: str, looks: list[Look]) -> list[Look]:
    store.add(collection, [look.new for look in looks if look.new is not None])
    return looks


def _looks(
    found: Sequence[tuple[Path, str]], settings: schema.Config, known: Known, jobs: int
) -> Iterator[Look]:
    """What is in each picture, in order, by so many processes; few pictures by this one."""
    if jobs == 1 or len(found) < WORTH_A_PROCESS * jobs:
        look = Looker(settings)
        yield from (look(path, name, known) for path, name in found)
        return
    spawn = multiprocessing.get_context("spawn")
    try:
        with ProcessPoolExecutor(jobs, spawn, _begin, (settings, known)) as pool:
            # A few pictures ahead, no more: each brings its file along.
            waiting = deque[Future[Look]]()
            for path, name in found:
                waiting.append(pool.submit(_look, path, name))
                if len(waiting) > AHEAD * jobs:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise MediaError(
            "a process that looked at pictures died, perhaps for want of memory; the same command "
            "goes on where it was, with --jobs 1 in less memory"
        ) from error


_looker: Looker
_known: Known


def _begin(settings: schema.Config, known: Known) -> None:
    """In each process of `_looks`: Ctrl-C is for the one that started them."""
    global _looker, _known
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _looker, _known = Looker(settings), known


def _look(path: Path, name: str) -> Look:
    return _looker(path, name, _known)
