"""Videos of people with exact truth, made from photographs.

Portraits move over a street scene on scripted paths: they cross, are hidden behind a pillar, leave
and come back in another photograph, grow, blur, and lose frames. The truth is where each face is in
each frame, and whose it is.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from onlooker.media import image
from onlooker.media.picture import Pixels
from onlooker.types import Box
from onlooker.vision.analyser import Analyser, Wanted

WIDTH, HEIGHT = 640, 360
AROUND = 2.0
"""Side of a portrait, in sides of its face."""
PILLAR = (290, 350)
"""Left and right end of the pillar, which hides people."""

Place = tuple[float, float, float]
"""Centre x, centre y and width of a face, in pixels."""
Path_ = Callable[[float], Place | None]
"""Returns where a face is at a time; None if it is not in the image."""


class Portrait(NamedTuple):
    """A photograph of a person, cut around the face."""

    pixels: Pixels
    mask: Pixels
    """(height, width), 0 to 255: opaque in the middle."""
    face: Box
    """In pixels of the portrait."""


class Truth(NamedTuple):
    """A face in a frame."""

    person: str
    box: Box


@dataclass(frozen=True)
class Actor:
    """A person on a path, in one photograph after another."""

    person: str
    path: Path_
    photo: Callable[[float], int] = lambda _: 0
    behind: bool = False
    """Passes behind the pillar."""


@dataclass(frozen=True)
class Scene:
    """A kind of video."""

    kind: str
    seconds: float
    actors: Sequence[Actor]
    fps: float = 10.0
    kept: Callable[[int], bool] = lambda _: True
    """Whether a frame arrives, by its index."""
    blurred: Callable[[float], bool] = lambda _: False
    pillar: bool = False
    visits: int = field(default=0)
    """True appearances, for an absence of 10 seconds."""


def portraits(samples: Path, analyser: Analyser) -> dict[str, list[Portrait]]:
    """Return the people of whom the samples have at least two photographs."""
    found: dict[str, list[Portrait]] = {}
    folders = sorted({path.parent for path in (samples / "faces/identities").rglob("*.jpg")})
    for folder in folders:
        cut = [one for path in sorted(folder.glob("*.jpg")) if (one := _portrait(path, analyser))]
        if len(cut) >= 2:
            found[folder.name] = cut
    return found


def _portrait(path: Path, analyser: Analyser) -> Portrait | None:
    picture = image.read(path)
    [detection] = analyser.detect([picture], [Wanted(text=False)])
    if not detection.faces:
        return None
    x1, y1, x2, y2 = detection.faces[0].box
    side = max(x2 - x1, y2 - y1)
    if side < 40:
        return None
    half = AROUND * side / 2
    left, top = round((x1 + x2) / 2 - half), round((y1 + y2) / 2 - half)
    size = round(2 * half)
    pixels, _ = picture.region(0, 0, picture.width, picture.height)
    padded = cv2.copyMakeBorder(pixels, size, size, size, size, cv2.BORDER_REPLICATE)
    cut = padded[top + size : top + 2 * size, left + size : left + 2 * size]
    mask = np.zeros((size, size), np.uint8)
    cv2.ellipse(
        mask, (size // 2, size // 2), (int(size * 0.42), int(size * 0.48)), 0, 0, 360, 255, -1
    )
    return Portrait(
        np.ascontiguousarray(cut),
        cv2.GaussianBlur(mask, (0, 0), size / 40).astype(np.uint8),
        (x1 - left, y1 - top, x2 - left, y2 - top),
    )


def render(
    scene: Scene, people: dict[str, list[Portrait]], street: Pixels
) -> Iterator[tuple[int, float, Pixels | None, list[Truth]]]:
    """Yield index, time, image and truth of each frame that arrives.

    The image is None if nobody is there: only the time goes on.
    """
    background = cv2.resize(street, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    noise = np.random.default_rng(5)
    for index in range(round(scene.seconds * scene.fps)):
        time = index / scene.fps
        if not scene.kept(index):
            continue
        frame = np.array(background, np.uint8)
        truth = []
        for actor in scene.actors:
            place = actor.path(time)
            if place is None:
                continue
            photos = people[actor.person]
            box = paste(frame, photos[actor.photo(time) % len(photos)], place)
            hidden = actor.behind and box[2] > PILLAR[0] + 8 and box[0] < PILLAR[1] - 8
            inside = box[0] > 2 and box[1] > 2 and box[2] < WIDTH - 2 and box[3] < HEIGHT - 2
            if inside and not hidden:
                truth.append(Truth(actor.person, box))
        if not truth and not any(actor.path(time) for actor in scene.actors):
            yield index, time, None, []
            continue
        if scene.pillar:
            frame[:, PILLAR[0] : PILLAR[1]] = (70, 80, 90)
        if scene.blurred(time):
            frame = np.asarray(cv2.GaussianBlur(frame, (0, 0), 3.0), np.uint8)
        grain = noise.normal(0, 4, frame.shape)
        yield index, time, np.clip(frame + grain, 0, 255).astype(np.uint8), truth


def paste(frame: Pixels, portrait: Portrait, place: Place) -> Box:
    """Draw a portrait; return the box of its face."""
    x, y, width = place
    x1, y1, x2, y2 = portrait.face
    scale = width / (x2 - x1)
    move = np.array(
        [[scale, 0, x - scale * (x1 + x2) / 2], [0, scale, y - scale * (y1 + y2) / 2]], np.float64
    )
    size = (frame.shape[1], frame.shape[0])
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    pixels = cv2.warpAffine(portrait.pixels, move, size, flags=way)
    mask = cv2.warpAffine(portrait.mask, move, size, flags=cv2.INTER_LINEAR)[..., None] / 255
    frame[:] = (mask * pixels + (1 - mask) * frame).astype(np.uint8)
    half = scale * (x2 - x1) / 2, scale * (y2 - y1) / 2
    return x - half[0], y - half[1], x + half[0], y + half[1]


def walk(start: float, end: float, seconds: float, y: float = 180, width: float = 60) -> Path_:
    """Return a path from x `start` to `end`, a little up and down as people walk."""
    return lambda t: (
        (start + (end - start) * t / seconds, y + 4 * math.sin(6 * t), width)
        if 0 <= t <= seconds
        else None
    )


def stay(x: float, first: float, last: float, y: float = 180, width: float = 60) -> Path_:
    """Return a place, from one time to another."""
    return lambda t: (x + 3 * math.sin(2 * t), y, width) if first <= t <= last else None


def either(*paths: Path_) -> Path_:
    """Return the first of the paths that has a place."""
    return lambda t: next((place for path in paths if (place := path(t))), None)


def scenes(names: Sequence[str]) -> list[Scene]:
    """Return all kinds of scenes with these people, three pairs of each."""
    made = []
    for number in range(3):
        a, b = names[(2 * number) % len(names)], names[(2 * number + 1) % len(names)]
        made += [
            Scene(
                "crossing",
                8,
                [
                    Actor(a, walk(60, 580, 8)),
                    Actor(b, walk(580, 60, 8, y=190, width=66)),
                ],
                visits=2,
            ),
            *[
                Scene(
                    f"hidden {seconds:g} s",
                    6 + seconds,
                    [Actor(a, _behind(seconds), behind=True), Actor(b, stay(540, 0, 99, y=260))],
                    pillar=True,
                    visits=2,
                )
                for seconds in (0.3, 1, 3)
            ],
            *[
                Scene(
                    f"away {gap:g} s",
                    gap + 6,
                    [
                        Actor(
                            a,
                            either(stay(200, 0, 3), stay(420, gap + 3, gap + 6)),
                            photo=lambda t: int(t > 3.5),
                        ),
                        Actor(b, stay(540, 0, 3, y=250)),
                    ],
                    visits=2 if gap < 10 else 3,
                )
                for gap in (2, 20, 120)
            ],
            Scene(
                "scale",
                6,
                [
                    Actor(a, lambda t: (200 + 10 * t, 180, 36 + 20 * t)),
                    Actor(b, lambda t: (500 - 5 * t, 180, 120 - 14 * t)),
                ],
                visits=2,
            ),
            Scene(
                "blur",
                6,
                [Actor(a, walk(100, 400, 6)), Actor(b, walk(540, 240, 6, y=260))],
                blurred=lambda t: t % 2 > 1.4,
                visits=2,
            ),
            Scene(
                "dropped bursts",
                8,
                [Actor(a, walk(60, 580, 8)), Actor(b, walk(580, 60, 8, y=260))],
                fps=25,
                kept=lambda index: index % 2 == 0 and index % 50 > 12,
                visits=2,
            ),
            Scene(
                "5 fps, 40 % dropped",
                10,
                [Actor(a, walk(60, 580, 10)), Actor(b, walk(580, 60, 10, y=190, width=66))],
                fps=5,
                kept=lambda index: index % 5 not in (1, 3),
                visits=2,
            ),
        ]
    return made


def _behind(seconds: float) -> Path_:
    """Return a path along which the face is behind the pillar for about this long."""
    margin = 30.0
    speed = (PILLAR[1] - PILLAR[0] + 2 * margin) / max(seconds, 0.6)

    def path(t: float) -> Place | None:
        left, right = PILLAR[0] - margin, PILLAR[1] + margin
        if t <= 3:
            return 100 + (left - 100) * t / 3, 180, 60
        if t <= 3 + seconds:
            return left + (right - left) * (t - 3) / seconds, 180, 60
        after = t - 3 - seconds
        return min(right + min(speed, 60) * after, 560), 180, 60

    return path
