"""The images in a folder, or that a pattern names, as a video of one image per second."""

import glob
import hashlib
import os
from collections.abc import Generator
from fractions import Fraction
from pathlib import Path

from onlooker.media import image
from onlooker.media.errors import MediaError
from onlooker.media.image import IMAGE_SUFFIXES
from onlooker.media.picture import Planes
from onlooker.media.video import Video
from onlooker.types import Frame


class ImageFolder(Video):
    """Images in the order of their names.

    `url` is a folder, or a pattern with * ? or [. Raises MediaError if there is no image, or if the
    first one cannot be decoded.
    """

    time_base = Fraction(1, 1)
    rate = 1.0

    def __init__(self, url: str, digest: str | None = None) -> None:
        super().__init__(Path(url), digest)
        try:
            found = self.path.iterdir() if self.path.is_dir() else map(Path, glob.glob(url))
            self.images = sorted(
                path for path in found if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()
            )
        except OSError as error:
            raise MediaError(f"{url}: {error.strerror}") from error
        if not self.images:
            raise MediaError(f"{url}: no image found ({', '.join(IMAGE_SUFFIXES)})")
        first = image.read(self.images[0])
        self.width, self.height = first.width, first.height
        self.frames_expected = len(self.images)

    def _compute_digest(self) -> str:
        whole = hashlib.sha256()
        for path in self.images:
            try:
                with path.open("rb") as file:
                    content = hashlib.file_digest(file, "sha256").digest()
            except OSError as error:
                raise MediaError(f"{path}: {error.strerror}") from error
            whole.update(os.fsencode(path.name) + b"\0" + content)
        return whole.hexdigest()

    def _frames(self, stream: str, start: int) -> Generator[tuple[Frame, Planes | None]]:
        size = self.width, self.height
        for index, path in enumerate(self.images[start:], start):
            planes, error = None, None
            try:
                planes = Planes.of(image.read(path))
                size = planes.width, planes.height
            except MediaError as caught:
                error = str(caught).replace(f"{path.parent}/", "")
            yield self._frame(stream, index, index, (index, index), size, error), planes
