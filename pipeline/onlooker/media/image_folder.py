"""Pictures in a folder, or that a pattern names, as a video of one picture a second."""

import glob
import hashlib
from collections.abc import Iterator
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Self

from onlooker.media import image
from onlooker.media.errors import MediaError
from onlooker.media.image import IMAGE_SUFFIXES
from onlooker.media.picture import Planes
from onlooker.types import Frame


class ImageFolder:
    """Images in the order of their names, as `onlooker.media.video_file.VideoFile` gives frames.

    `url` is a folder, or a pattern with * ? or [. Raises MediaError where there is no picture, or
    the first one cannot be decoded.
    """

    endless = False
    time_base = Fraction(1, 1)
    rate = 1.0

    def __init__(self, url: str, digest: str | None = None) -> None:
        self.path = Path(url)
        if digest is not None:
            self.digest = digest
        found = self.path.iterdir() if self.path.is_dir() else map(Path, glob.glob(url))
        self.pictures = sorted(
            each for each in found if each.suffix.lower() in IMAGE_SUFFIXES and each.is_file()
        )
        if not self.pictures:
            raise MediaError(f"{url}: no picture there ({', '.join(IMAGE_SUFFIXES)})")
        first = image.read(self.pictures[0])
        self.width, self.height = first.width, first.height
        self.frames_expected = len(self.pictures)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all the names and pictures, in hex."""
        whole = hashlib.sha256()
        for picture in self.pictures:
            with picture.open("rb") as file:
                whole.update(picture.name.encode() + b"\0")
                whole.update(hashlib.file_digest(file, "sha256").digest())
        return whole.hexdigest()

    def frames(self, stream: str, start: int = 0) -> Iterator[tuple[Frame, Planes | None]]:
        """The pictures from number `start` on; one that cannot be decoded is a frame without."""
        width, height = self.width, self.height
        for index, path in enumerate(self.pictures[start:], start):
            planes, error = None, None
            try:
                planes = Planes.of(image.read(path))
                width, height = planes.width, planes.height
            except MediaError as caught:
                error = str(caught).replace(f"{path.parent}/", "")
            frame = Frame(
                stream=stream,
                epoch=self.digest,
                index=index,
                pts=index,
                time_base=(1, 1),
                fragment=index,
                fragment_pts=index,
                started=0.0,
                width=width,
                height=height,
                error=error,
            )
            yield frame, planes

    def close(self) -> None:
        """There is nothing to close: each picture was, when it had been read."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
