"""The demonstration's video, made on the spot from photographs that scikit-image brings along.

NASA's portrait of Eileen Collins, a printed page, and a motorcycle with its maker's name on the
tank (Middlebury stereo benchmark, 2014): all three lie inside the installed package, so nothing is
downloaded.
"""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np

from onlooker.media import image
from onlooker.media.errors import MediaError
from onlooker.media.picture import Pixels
from onlooker.media.video_writer import VideoWriter

WIDTH, HEIGHT, RATE = 1280, 720, 25


@dataclass(frozen=True, slots=True)
class Photographs:
    """(h, w, 3) BGR each."""

    astronaut: Pixels
    page: Pixels
    motorcycle: Pixels


@dataclass(frozen=True, slots=True)
class View:
    """What the camera sees of a photograph: its middle and width, in the photograph's pixels."""

    x: float
    y: float
    width: float

    def towards(self, end: "View", part: float) -> "View":
        """The view that lies `part` of the way to `end`; zooming looks even to the eye."""
        scale = (end.width / self.width) ** part
        return View(
            self.x + (end.x - self.x) * part,
            self.y + (end.y - self.y) * part,
            self.width * scale,
        )


@dataclass(frozen=True, slots=True)
class Shot:
    """One photograph, looked at from `start` to `end`."""

    photograph: Pixels
    seconds: float
    start: View
    end: View


VISITOR = View(228, 125, 300)
"""Where the first shot ends, and what `visitor.png` shows."""


def shots(photographs: Photographs) -> list[Shot]:
    """The video, shot by shot, with hard cuts between."""
    astronaut, page, motorcycle = photographs.astronaut, photographs.page, photographs.motorcycle
    return [
        Shot(astronaut, 2.4, View(256, 150, 512), VISITOR),
        Shot(page, 2.4, View(192, 86, 380), View(191, 105, 376)),
        Shot(motorcycle, 2.8, View(425, 320, 400), View(376, 332, 220)),
        Shot(astronaut, 2.0, View(200, 170, 360), View(290, 150, 420)),
    ]


def make_video(folder: Path) -> tuple[Path, Path]:
    """Make the video and a folder of portraits in `folder`; return where they are.

    The video is 1280 x 720 at 25 frames per second. The portraits are to be indexed: one folder for
    each person, with a picture that is not in the video as it is. `visitor.png` is
    the same person as the video shows her, to search with. Made again, all are the same.
    Raises MediaError where scikit-image is missing or the folder cannot be written to.
    """
    photos = photographs()
    video, people = folder / "video.mp4", folder / "people"
    try:
        (people / "Eileen Collins").mkdir(parents=True, exist_ok=True)
        (people / "Eileen Collins" / "portrait.png").write_bytes(_portrait(photos))
        (folder / "visitor.png").write_bytes(_png(seen(photos.astronaut, VISITOR)))
    except OSError as error:
        raise MediaError(f"{folder}: {error.strerror}") from error
    with VideoWriter(video, WIDTH, HEIGHT, RATE, key_every=RATE, overwrite=True) as writer:
        for shot in shots(photos):
            for number in range(count := round(shot.seconds * RATE)):
                view = shot.start.towards(shot.end, number / (count - 1))
                writer.write(seen(shot.photograph, view))
    return video, people


def photographs() -> Photographs:
    """The three pictures. Raises MediaError with the command to run where they are missing."""
    package = find_spec("skimage")
    if package is None or package.origin is None:
        raise MediaError(
            "the demo's photographs come with scikit-image, which is not installed:"
            ' pip install "onlooker[demo]"'
        )
    # Read as files: importing skimage.data would offer downloads, and take a second.
    folder = Path(package.origin).parent / "data"
    names = "astronaut.png", "page.png", "motorcycle_left.png"
    return Photographs(*(image.read(folder / name).bgr for name in names))


def seen(photograph: Pixels, view: View) -> Pixels:
    """The part of the photograph in the view, WIDTH x HEIGHT; dark beyond its edge."""
    scale = WIDTH / view.width
    move = np.array([
        [scale, 0, WIDTH / 2 - scale * view.x],
        [0, scale, HEIGHT / 2 - scale * view.y],
    ])  # fmt: skip
    return cv2.warpAffine(
        photograph, move, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR, borderValue=(24, 24, 24)
    ).astype(np.uint8)


def _portrait(photos: Photographs) -> bytes:
    """Head and shoulders, cut otherwise than in the video and smaller than there, as a PNG file."""
    head = photos.astronaut[10:290, 90:350]
    small = cv2.resize(head, None, fx=0.85, fy=0.85, interpolation=cv2.INTER_AREA)
    return _png(np.asarray(small, np.uint8))


def _png(pixels: Pixels) -> bytes:
    return bytes(cv2.imencode(".png", pixels)[1])
