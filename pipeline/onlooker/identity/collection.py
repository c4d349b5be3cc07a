"""A collection of people as one object: index images, search for the person in an image."""

from collections.abc import Iterable, Iterator
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from onlooker.config.load import load
from onlooker.config.schema import Config
from onlooker.identity import enrol
from onlooker.identity.enrol import Enroller, Outcome, image_files
from onlooker.identity.errors import CollectionExists, NoFaceFound, mismatch
from onlooker.identity.faces import CollectionInfo, Deletions, NewFace
from onlooker.identity.search.engines import open_searcher
from onlooker.identity.search.searcher import Searcher, all_faces
from onlooker.identity.store import default_path
from onlooker.media import image as images
from onlooker.media.picture import Still
from onlooker.models.card import space
from onlooker.types import Identity, StoredFace
from onlooker.vision.analyser import Analyser, Wanted
from onlooker.vision.unindexed_reasons import everyone

Image: TypeAlias = str | PathLike[str] | bytes | NDArray[np.uint8]
"""The path of a JPEG or PNG, its bytes, or pixels (height, width, 3) in the order blue, green,
red."""

FINISH_SECONDS = 30.0
"""Time that `close` waits for the index file of a large collection, which makes searches fast."""
LARGEST = Wanted(text=False, max_faces=1, select=everyone)


class Collection:
    """The people of the collection called `name`, which the first indexed image creates.

    They are in the user's own store, as those of `onlooker collection` and `onlooker serve`: a
    file, or the database of `[store]`. `store` names another file. Not for two threads at once; any
    number of processes may use one collection. All methods raise StoreError if the store fails, and
    all but the ones that index raise CollectionNotFound if there is no such collection.

    config: None means the configuration file in force. Raises ConfigError if it cannot be used.

        with onlooker.Collection("staff") as staff:
            staff.index("anna.jpg")
            for match in staff.search("visitor.jpg"):
                print(match.face.external_image_id, match.similarity)
    """

    def __init__(
        self, name: str, *, store: Path | None = None, config: Config | None = None
    ) -> None:
        self.name = name
        self._config = load() if config is None else config
        self._searcher: Searcher = open_searcher(
            default_path() if store is None else store,
            space(self._config.faces.embedder),
            self._config.store.url if store is None else None,
            finish_seconds=FINISH_SECONDS,
        )

    def close(self) -> None:
        """Close the store."""
        self._searcher.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        """Return the number of faces."""
        return self.info.faces

    def __bool__(self) -> bool:
        return True

    @property
    def info(self) -> CollectionInfo:
        """Its model, its numbers of faces and users, and the time of its creation."""
        return self._searcher.collection(self.name)

    def index(self, image: Image, external_image_id: str | None = None) -> StoredFace:
        """Add the largest face of an image, and return it as stored.

        `external_image_id` is the person's name, as `onlooker.escape` writes it. None means the
        stem of a file's name, and no name for bytes and pixels. A named face that is stored already
        is not stored again. Raises NoFaceFound if there is no face or if it is not good enough to
        be recognised, MediaError if the image cannot be read, InvalidName, and ModelMismatch if the
        collection is of another model.
        """
        data, still, name = _opened(image)
        written = external_image_id
        if written is None and name is not None:
            written = enrol.external_image_id(name)
        portrait = self._enroller.portrait(still)
        if portrait.vector is None:
            raise NoFaceFound(f"{name or 'image'}: {portrait.reason}")
        self._create()
        new = NewFace(
            picture=data,
            external_image_id=written,
            box=portrait.box,
            confidence=portrait.confidence,
            vector=portrait.vector,
        )
        [face] = self._searcher.add(self.name, [new])
        return face

    def index_files(self, paths: Iterable[str | PathLike[str]], jobs: int = 1) -> Iterator[Outcome]:
        """Add the largest face of each image file, by `jobs` processes; yield each outcome.

        In a folder of folders, a person's name is the folder's; elsewhere it is the file's stem.
        Images that are stored already are not analysed again. Raises MediaError if a path does not
        exist, and ModelMismatch if the collection is of another model.
        """
        found = list(image_files(map(Path, paths)))
        self._create()
        yield from enrol.enrol(self._searcher, self.name, found, self._config, jobs)

    def search(
        self, image: Image, threshold: float | None = None, max_faces: int | None = None
    ) -> tuple[Identity, ...]:
        """Return the stored faces that match the largest face of an image, best first.

        `threshold` is the least Similarity, 0 to 100; None for it and for `max_faces` means the
        configuration's. Raises NoFaceFound if the image has no face that can be recognised,
        MediaError if it cannot be read, and ModelMismatch if the collection is of another model.
        """
        _, still, name = _opened(image)
        [analysis] = self._analyser([still], [LARGEST])
        if not analysis.faces:
            raise NoFaceFound(f"{name or 'image'}: no face found")
        [face] = analysis.faces
        if face.reasons:
            failed = ", ".join(face.reasons)
            raise NoFaceFound(f"{name or 'image'}: not good enough to be recognised, {failed}")
        match = self._config.match
        [found] = self._searcher.search_faces(
            self.name,
            face.row,
            match.threshold if threshold is None else threshold,
            match.max_faces if max_faces is None else max_faces,
        )
        return found

    def list(self) -> Iterator[StoredFace]:
        """Yield all faces in the order they were added."""
        return all_faces(self._searcher, self.name)

    def delete_faces(self, face_ids: Iterable[str]) -> Deletions:
        """Delete faces, except those that do not exist or belong to a user."""
        return self._searcher.delete_faces(self.name, [*face_ids])

    def delete(self) -> None:
        """Delete the collection with everything in it."""
        self._searcher.delete_collection(self.name)

    @cached_property
    def _analyser(self) -> Analyser:
        return Analyser(self._config)

    @cached_property
    def _enroller(self) -> Enroller:
        return Enroller(self._config, self._analyser)

    def _create(self) -> None:
        ours = self._searcher.space.name
        try:
            self._searcher.create_collection(self.name)
        except CollectionExists:
            if (model := self.info.model) != ours:
                raise mismatch(self.name, model, ours) from None


def _opened(image: Image) -> tuple[bytes, Still, str | None]:
    """Return an image's bytes, the decoded image, and a file's name without its suffix."""
    if isinstance(image, np.ndarray):
        return image.tobytes(), Still(image), None
    if isinstance(image, bytes):
        return image, images.decode(image), None
    path = Path(image)
    data = images.contents(path)
    return data, images.decode(data, str(path)), path.stem
