"""The video of `onlooker demo`, made from photographs in onlooker-models or in scikit-image.

They are NASA's portrait of Eileen Collins, a printed page, and a motorcycle with its maker's name
on the tank (Middlebury stereo benchmark, 2014). Nothing is downloaded.
"""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np

from onlooker import durable_file
from onlooker.media import image
from onlooker.media.errors import MediaError
from onlooker.media.picture import Pixels
from onlooker.media.video_writer import VideoWriter
from onlooker.models import weights

WIDTH, HEIGHT, RATE = 1280, 720, 25


@dataclass(frozen=True, slots=True)
class Photographs:
    """The three photographs, (h, w, 3) BGR each."""

    astronaut: Pixels
    page: Pixels
    motorcycle: Pixels


@dataclass(frozen=True, slots=True)
class View:
    """A section of a photograph: its centre and width, in the photograph's pixels."""

    x: float
    y: float
    width: float

    def towards(self, end: "View", part: float) -> "View":
        """Return the view at `part` (0 to 1) of the way to `end`; the zoom appears even."""
        scale = (end.width / self.width) ** part
        return View(
            self.x + (end.x - self.x) * part,
            self.y + (end.y - self.y) * part,
            self.width * scale,
        )


@dataclass(frozen=True, slots=True)
class Shot:
    """A camera move over one photograph, from `start` to `end`."""

    photograph: Pixels
    seconds: float
    start: View
    end: View


VISITOR = View(228, 125, 300)
"""The end of the first shot, and the content of `visitor.png`."""


def shots(photographs: Photographs) -> list[Shot]:
    """Return the shots of the video, which follow one another with hard cuts."""
    astronaut, page, motorcycle = photographs.astronaut, photographs.page, photographs.motorcycle
    return [
        Shot(astronaut, 2.4, View(256, 150, 512), VISITOR),
        Shot(page, 2.4, View(192, 86, 380), View(191, 105, 376)),
        Shot(motorcycle, 2.8, View(425, 320, 400), View(376, 332, 220)),
        Shot(astronaut, 2.0, View(200, 170, 360), View(290, 150, 420)),
    ]


def make_video(folder: Path) -> tuple[Path, Path]:
    """Write the video and a folder of portraits into `folder`; return their paths.

    The video is 1280 x 720 at 25 frames per second. The folder of portraits has one folder per
    person, to be indexed; its image is not in the video in this form. `visitor.png` is a frame of
    the same person, to search with. All files are the same each time.
    Raises MediaError if scikit-image is missing or the folder cannot be written to.
    """
    photos = photographs()
    video, people = folder / "video.mp4", make_images(folder, photos)
    with VideoWriter(video, WIDTH, HEIGHT, RATE, key_every=RATE, overwrite=True) as writer:
        for shot in shots(photos):
            for number in range(count := round(shot.seconds * RATE)):
                view = shot.start.towards(shot.end, number / (count - 1))
                writer.write(render(shot.photograph, view))
    return video, people


def make_images(folder: Path, photos: Photographs) -> Path:
    """Write the images alone, without the video; return the folder of portraits.

    Raises MediaError if the folder cannot be written to.
    """
    people = folder / "people"
    try:
        (people / "Eileen Collins").mkdir(parents=True, exist_ok=True)
        durable_file.write(people / "Eileen Collins" / "portrait.png", _portrait(photos))
        durable_file.write(folder / "visitor.png", _png(render(photos.astronaut, VISITOR)))
    except OSError as error:
        raise MediaError(f"{folder}: {error.strerror}") from error
    return people


def photographs() -> Photographs:
    """Return the photographs. Raises MediaError if no package that has them is installed."""
    installed = weights.installed_folder()
    package = find_spec("skimage")
    if installed is not None:
        folder = installed / "photographs"
    elif package is not None and package.origin is not None:
        # Read as files: importing skimage.data would offer downloads, and take a second.
        folder = Path(package.origin).parent / "data"
    else:
        raise MediaError(
            "the demo's photographs come with scikit-image, which is not installed:"
            ' pip install "onlooker[demo]"'
        )
    names = "astronaut.png", "page.png", "motorcycle_left.png"
    return Photographs(*(image.read(folder / name).bgr for name in names))


def render(photograph: Pixels, view: View) -> Pixels:
    """Return the view of the photograph at WIDTH x HEIGHT, dark beyond the photograph's edge."""
    scale = WIDTH / view.width
    move = np.array([
        [scale, 0, WIDTH / 2 - scale * view.x],
        [0, scale, HEIGHT / 2 - scale * view.y],
    ])  # fmt: skip
    return cv2.warpAffine(
        photograph, move, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR, borderValue=(24, 24, 24)
    ).astype(np.uint8)


def _portrait(photos: Photographs) -> bytes:
    """Return head and shoulders as a PNG file, with another crop and size than in the video."""
    head = photos.astronaut[10:290, 90:350]
    small = cv2.resize(head, None, fx=0.85, fy=0.85, interpolation=cv2.INTER_AREA)
    return _png(np.asarray(small, np.uint8))


def _png(pixels: Pixels) -> bytes:
    return bytes(cv2.imencode(".png", pixels)[1])
