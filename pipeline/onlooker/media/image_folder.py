"""The images in a folder, or that a pattern names, as a video of one image per second."""

import glob
import hashlib
import os
from collections.abc import Generator, Iterable
from fractions import Fraction
from pathlib import Path

from msgspec.structs import replace

from onlooker.media import image
from onlooker.media.errors import MediaError
from onlooker.media.image import IMAGE_SUFFIXES
from onlooker.media.picture import Planes, Still
from onlooker.media.video import Video
from onlooker.types import Frame

MAX_NAMED = 10
"""Maximum files that are named as left out."""


class ImageFolder(Video):
    """Images in the order of their names.

    `url` is a folder, or a pattern with * ? or [. `left_out` names the other files. Raises
    MediaError if there is no image, or none that can be decoded.
    """

    time_base = Fraction(1, 1)
    rate = 1.0

    def __init__(self, url: str, digest: str | None = None) -> None:
        super().__init__(Path(url), digest)
        try:
            found = self.path.iterdir() if self.path.is_dir() else map(Path, glob.glob(url))
            self.images, self.left_out = sorted_out(found)
        except OSError as error:
            raise MediaError(f"{url}: {error.strerror}") from error
        if not self.images:
            others = f"; it has {', '.join(self.left_out)}" if self.left_out else ""
            raise MediaError(f"{url}: no image found ({', '.join(IMAGE_SUFFIXES)}){others}")
        first = _first_readable(url, self.images)
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
            frame = self._frame(stream, index, index, (index, index), size, error)
            yield replace(frame, still=True), planes


def sorted_out(paths: Iterable[Path]) -> tuple[list[Path], tuple[str, ...]]:
    """Return the images among `paths` in the order of their names, and what the rest is.

    Hidden files are no images: macOS puts a file ._NAME.jpg beside each image of other disks.
    Of the rest, MAX_NAMED are named.
    """
    images, hidden, others = [], 0, []
    for path in sorted(paths):
        if path.name.startswith("."):
            hidden += 1
        elif path.suffix.lower() in IMAGE_SUFFIXES and path.is_file():
            images.append(path)
        else:
            others.append(f"{path.name} ({'a folder' if path.is_dir() else 'no JPEG or PNG'})")
    left_out = others[:MAX_NAMED]
    if len(others) > MAX_NAMED:
        left_out.append(f"{len(others) - MAX_NAMED} more")
    if hidden:
        left_out.append("1 hidden file" if hidden == 1 else f"{hidden} hidden files")
    return images, tuple(left_out)


def _first_readable(url: str, images: list[Path]) -> Still:
    failure: MediaError | None = None
    for path in images:
        try:
            return image.read(path)
        except MediaError as error:
            failure = failure or error
    raise MediaError(f"{url}: none of its {len(images)} images can be decoded; {failure}")
