"""Enrolment: people from image files into a collection.

In a folder of folders, the name of the person in an image is that of the folder; for images that
lie flat in the given folder, or are named themselves, it is the file's stem. `onlooker.escape` says
how it is written as an ExternalImageId.
"""

import hashlib
import multiprocessing
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import resource_tracker
from pathlib import Path
from typing import TypeAlias

import msgspec
import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from onlooker.child_process import blocked
from onlooker.config.schema import Config
from onlooker.errors import printable
from onlooker.escape import PEOPLE
from onlooker.identity.duplicates import image_id
from onlooker.identity.errors import InvalidName, mismatch
from onlooker.identity.faces import NewFace
from onlooker.identity.search.searcher import Searcher, all_faces
from onlooker.media import image
from onlooker.media.errors import MediaError
from onlooker.media.picture import Picture
from onlooker.rekognition.ratios import bounding_box
from onlooker.types import Box, StoredFace
from onlooker.vision.analyser import Analyser, Wanted
from onlooker.vision.unindexed_reasons import passing

MIN_IMAGES_PER_PROCESS = 20
"""A process has to load the models first; with fewer images it does not pay."""
MAX_IMAGES_AHEAD = 4
"""Images of each process that are read before their faces are stored."""
MAX_ID_LENGTH = 255
"""Characters of an ExternalImageId."""
MAX_COMMIT_IMAGES = 32
MAX_COMMIT_SECONDS = 2.0
"""A commit is due after this many images or seconds, whichever comes first."""


class Portrait(msgspec.Struct, frozen=True, kw_only=True):
    """The largest face of an image, or the reason why it cannot be enrolled.

    Only the largest is enrolled: a portrait names one person, and a passer-by behind that person
    must not get the name.
    """

    box: Box = (0.0, 0.0, 0.0, 0.0)
    """left, top, width, height as ratios of the image."""
    confidence: float = 0.0
    """0 to 100."""
    vector: NDArray[np.float32] | None = None
    """(dim,); None if there is a reason."""
    passed_over: int = 0
    """Number of further, smaller faces in the image."""
    reason: str = ""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one image."""

    path: Path
    external_image_id: str = ""
    """The person's name as it is stored; empty if it cannot be."""
    new: NewFace | None = None
    """The face to store; None if there is none, or if it is stored already."""
    passed_over: int = 0
    """Number of further, smaller faces in the image, which are not indexed."""
    reason: str = ""
    """The reason why nothing is stored."""
    known: bool = False
    """The image is stored already, under this name."""


def image_files(paths: Iterable[Path]) -> Iterator[tuple[Path, str]]:
    """Yield every JPEG and PNG under `paths` with the name of the person, in a stable order.

    Raises MediaError if a path does not exist.
    """
    for root in paths:
        if not root.exists():
            raise MediaError(f"{root}: no such file or folder")
        if root.is_file():
            yield root, root.stem
            continue
        for path in _visible(root):
            if path.suffix.lower() in image.IMAGE_SUFFIXES:
                yield path, path.stem if path.parent == root else path.parent.name


def other_files(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield the files in folders among `paths` whose names are not those of a JPEG or PNG."""
    for root in paths:
        if root.is_dir():
            yield from (
                path for path in _visible(root) if path.suffix.lower() not in image.IMAGE_SUFFIXES
            )


def _visible(root: Path) -> Iterator[Path]:
    """Yield the files below `root`, in a stable order, without hidden ones.

    macOS puts a hidden file ._NAME.jpg beside each image on other disks.
    """
    for path in sorted(root.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
        if not hidden and path.is_file():
            yield path


def external_image_id(name: str) -> str:
    """Return how a person's name is stored. Raises InvalidName if it is too long for that."""
    written = PEOPLE.encode(name)
    if not 1 <= len(written) <= MAX_ID_LENGTH:
        raise InvalidName(
            f"{name!r} cannot be an ExternalImageId: it takes 1 to {MAX_ID_LENGTH} characters, and "
            f"this name is written with {len(written)}; give the folder or file a shorter one"
        )
    return written


def wanted(config: Config) -> Wanted:
    """Return what enrolment has to find out about an image."""
    return Wanted(text=False, max_faces=1, select=passing(config.faces.quality))


class Enroller:
    """Finds the face of a portrait and its vector."""

    def __init__(self, config: Config, analyser: Analyser | None = None) -> None:
        self._analyser = analyser or Analyser(config)
        self._wanted = wanted(config)

    def __call__(self, data: bytes, name: str) -> Portrait:
        """Return the portrait in a file's bytes; `name` is the file's, for error texts."""
        try:
            picture = image.decode(data, name)
        except MediaError as error:
            return Portrait(reason=_cause(error, name))
        return self.portrait(picture)

    def portrait(self, picture: Picture) -> Portrait:
        """Return the portrait in an image."""
        [analysis] = self._analyser([picture], [self._wanted])
        if not analysis.faces:
            return Portrait(reason="no face found")
        [one] = analysis.faces
        face = one.face
        if one.reasons:
            width, sharpness = face.box[2] - face.box[0], face.quality.sharpness
            measured = f"{width:.0f} px wide, sharpness {sharpness:.0f}"
            failed = ", ".join(one.reasons)
            return Portrait(reason=f"not good enough to be recognised, {failed}: {measured}")
        box = bounding_box(face.box, (picture.width, picture.height))
        return Portrait(
            box=(box.Left, box.Top, box.Width, box.Height),
            confidence=face.score * 100,
            vector=one.vector,
            passed_over=analysis.faces_found - 1,
        )


def enrol(
    searcher: Searcher,
    collection: str,
    found: Sequence[tuple[Path, str]],
    config: Config,
    jobs: int = 1,
) -> Iterator[Outcome]:
    """Put images, with their names, into a collection; yield each outcome once it is durable.

    Several images share a commit. An image that is stored already is not analysed again, so that a
    run that was interrupted can be resumed. Raises CollectionNotFound and ModelMismatch.
    """
    model, ours = searcher.collection(collection).model, searcher.space.name
    if model != ours:
        raise mismatch(collection, model, ours)
    waiting: list[Outcome] = []
    since = time.monotonic()
    for outcome in _outcomes(found, config, _Known(all_faces(searcher, collection)), jobs):
        waiting.append(outcome)
        if len(waiting) >= MAX_COMMIT_IMAGES or time.monotonic() > since + MAX_COMMIT_SECONDS:
            yield from _stored(searcher, collection, waiting)
            waiting, since = [], time.monotonic()
    yield from _stored(searcher, collection, waiting)


def _stored(searcher: Searcher, collection: str, outcomes: list[Outcome]) -> list[Outcome]:
    searcher.add(collection, [each.new for each in outcomes if each.new is not None])
    return outcomes


class _Known:
    """The images that a collection holds, each under its names: 16 bytes for each of them."""

    def __init__(self, faces: Iterable[StoredFace]) -> None:
        keys = bytearray()
        for face in faces:
            keys += self._key(face.image_id, face.external_image_id or "")
        self._keys = np.sort(np.frombuffer(bytes(keys), "S16"))

    def __contains__(self, pair: tuple[str, str]) -> bool:
        key = np.bytes_(self._key(*pair))
        place = int(np.searchsorted(self._keys, key))
        return place < len(self._keys) and bool(self._keys[place] == key)

    @staticmethod
    def _key(image: str, name: str) -> bytes:
        # The ids have no zero byte, and neither has the key: NumPy would drop one at its end.
        digest = hashlib.blake2b(f"{image}\0{name}".encode(), digest_size=16).digest()
        return digest.replace(b"\0", b"\1")


def _cause(error: Exception, name: str) -> str:
    """Return an error's text without the file's name, which is beside it anyway."""
    return str(error).removeprefix(f"{printable(name)}: ")


Analyse: TypeAlias = Callable[[bytes, str], Callable[[], Portrait]]
"""Starts the analysis of a file's bytes and returns a function that waits for the result."""


def _outcomes(
    found: Sequence[tuple[Path, str]], config: Config, known: _Known, jobs: int
) -> Iterator[Outcome]:
    """Yield each image's outcome, in order, by `jobs` processes; few images by this one."""
    jobs = 1 if len(found) < MIN_IMAGES_PER_PROCESS * jobs else jobs
    with _in_process(config) if jobs == 1 else _in_processes(config, jobs) as analyse:
        ahead = 0 if jobs == 1 else MAX_IMAGES_AHEAD * jobs
        # No more than these few are read: each keeps its file's bytes.
        waiting = deque[Callable[[], Outcome]]()
        for path, name in found:
            waiting.append(_started(path, name, known, analyse))
            if len(waiting) > ahead:
                yield waiting.popleft()()
        while waiting:
            yield waiting.popleft()()


def _started(path: Path, name: str, known: _Known, analyse: Analyse) -> Callable[[], Outcome]:
    """Start an image's analysis; return a function that waits for the outcome."""
    outcome = Outcome(path=path)
    try:
        written = external_image_id(name)
        data = image.contents(path)
    except (InvalidName, MediaError) as error:
        reason = _cause(error, str(path))
        return lambda: replace(outcome, reason=reason)
    outcome = replace(outcome, external_image_id=written)
    if (image_id(data), written) in known:
        return lambda: replace(outcome, reason="is indexed already", known=True)
    result = analyse(data, str(path))

    def finished() -> Outcome:
        portrait = result()
        if portrait.vector is None:
            return replace(outcome, reason=portrait.reason)
        new = NewFace(
            picture=data,
            external_image_id=written,
            box=portrait.box,
            confidence=portrait.confidence,
            vector=portrait.vector,
        )
        return replace(outcome, new=new, passed_over=portrait.passed_over)

    return finished


@contextmanager
def _in_process(config: Config) -> Iterator[Analyse]:
    enroller = Enroller(config)
    yield lambda data, name: lambda: enroller(data, name)


@contextmanager
def _in_processes(config: Config, jobs: int) -> Iterator[Analyse]:
    spawn = multiprocessing.get_context("spawn")
    others = set(multiprocessing.active_children())
    # A terminal that is closed sends SIGHUP to all; the tracker, which ignores but the others,
    # must outlive them, or each semaphore of theirs is a traceback.
    with blocked(signal.SIGHUP):
        resource_tracker.ensure_running()
    try:
        with ProcessPoolExecutor(jobs, spawn, _begin, (config,)) as pool:

            def analyse(data: bytes, name: str) -> Callable[[], Portrait]:
                with blocked(signal.SIGINT):  # the first call starts processes, which inherit it
                    return pool.submit(_analysed, data, name).result

            try:
                yield analyse
            except BaseException:  # as Ctrl-C, which is for this process: waiting takes seconds
                for process in set(multiprocessing.active_children()) - others:
                    process.terminate()
                raise
    except BrokenProcessPool as error:
        raise MediaError(
            "a process that analysed images died, perhaps for lack of memory; the same command "
            "resumes, and needs less memory with --jobs 1"
        ) from error


_enroller: Enroller


def _begin(config: Config) -> None:
    """Prepare a process of `_in_processes`."""
    global _enroller
    _enroller = Enroller(config)


def _analysed(data: bytes, name: str) -> Portrait:
    return _enroller(data, name)
