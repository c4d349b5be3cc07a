"""Drawn scenes with people and signs, for pictures that show nobody's photograph.

All places and sizes are in a grid of WIDTH by HEIGHT. A scene is drawn larger than it is shown, so
that all edges are smooth.
"""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from onlooker.media.picture import Pixels

WIDTH, HEIGHT = 640, 360
SCALE, SHOWN = 4, 2
"""Pixels of a unit of the grid, as it is drawn and as it is shown."""
INK, PAPER = (64, 52, 44), (240, 244, 246)

Colour = tuple[int, int, int]
"""Blue, green and red."""


class Person(NamedTuple):
    """Somebody: the middle of the face, its height, and colours."""

    x: float
    y: float
    size: float
    skin: Colour
    hair: Colour
    coat: Colour
    long_hair: bool = False
    glasses: bool = False
    beard: bool = False
    name: str = ""


class Sign(NamedTuple):
    """A line of text: its left end, baseline and height."""

    text: str
    x: float
    y: float
    height: float
    ink: Colour = INK
    ground: Colour | None = PAPER


class Scene:
    """An image (HEIGHT, WIDTH, 3) times SHOWN, and who and what is in it."""

    def __init__(self, wall: Colour, floor: Colour, horizon: float) -> None:
        self._pixels = np.empty((HEIGHT * SCALE, WIDTH * SCALE, 3), np.uint8)
        edge = round(horizon * SCALE)
        for part, colour in ((self._pixels[:edge], wall), (self._pixels[edge:], floor)):
            light = np.linspace(1.04, 0.9, len(part))[:, None, None]
            part[:] = np.clip(np.array(colour) * light, 0, 255)
        self.people: list[Person] = []
        self.texts: list[str] = []

    @property
    def image(self) -> Pixels:
        size = WIDTH * SHOWN, HEIGHT * SHOWN
        return np.asarray(cv2.resize(self._pixels, size, interpolation=cv2.INTER_AREA), np.uint8)

    def box(self, x: float, y: float, width: float, height: float, colour: Colour) -> None:
        """Draw a rectangle."""
        corners = ((x, y), (x + width, y), (x + width, y + height), (x, y + height))
        self._fill(corners, colour)

    def disc(self, x: float, y: float, radius: float, colour: Colour) -> None:
        """Draw a filled circle."""
        self._ellipse(x, y, radius, radius, colour)

    def sign(self, sign: Sign) -> None:
        """Write a line."""
        font, thick = cv2.FONT_HERSHEY_DUPLEX, max(1, round(sign.height * SCALE / 9))
        (_, high), _ = cv2.getTextSize(sign.text, font, 10, thick)
        size = 10 * sign.height * SCALE / high
        (wide, _), _ = cv2.getTextSize(sign.text, font, size, thick)
        width, pad = wide / SCALE, sign.height * 0.5
        left, top = sign.x, sign.y - sign.height
        if sign.ground is not None:
            self.box(left - pad, top - pad, width + 2 * pad, sign.height + 2 * pad, sign.ground)
        place = round(left * SCALE), round(sign.y * SCALE)
        cv2.putText(self._pixels, sign.text, place, font, size, sign.ink, thick, cv2.LINE_AA)
        self.texts.append(sign.text)

    def person(self, person: Person) -> None:
        """Draw somebody."""
        x, y, skin, hair = person.x, person.y, person.skin, person.hair
        unit = person.size / 2
        shade: Colour = (skin[0] * 86 // 100, skin[1] * 86 // 100, skin[2] * 86 // 100)
        if person.long_hair:
            self._ellipse(x, y + 0.35 * unit, 1.02 * unit, 1.45 * unit, hair)
        self._ellipse(x, y + 3.0 * unit, 1.95 * unit, 1.7 * unit, person.coat)
        self.box(x - 1.95 * unit, y + 3.0 * unit, 3.9 * unit, HEIGHT - y, person.coat)
        self.box(x - 0.34 * unit, y + 0.6 * unit, 0.68 * unit, 0.95 * unit, shade)
        self._ellipse(x, y + 1.5 * unit, 0.5 * unit, 0.28 * unit, shade)
        for side in (-1, 1):
            self._ellipse(x + side * 0.78 * unit, y + 0.05 * unit, 0.14 * unit, 0.24 * unit, shade)
        self._ellipse(x, y - 0.32 * unit, 0.86 * unit, 0.86 * unit, hair)
        self._ellipse(x, y + 0.08 * unit, 0.76 * unit, 0.95 * unit, skin)
        self._fill(
            [(x + a * unit, y + b * unit) for a, b in ((-0.8, -0.3), (-0.55, -0.85), (0.1, -1.05))]
            + [(x + a * unit, y + b * unit) for a, b in ((0.6, -0.85), (0.8, -0.3), (0.3, -0.62))],
            hair,
        )
        for side in (-1, 1):
            eye = x + side * 0.33 * unit, y - 0.02 * unit
            self._ellipse(*eye, 0.13 * unit, 0.085 * unit, (250, 250, 250))
            self._ellipse(*eye, 0.07 * unit, 0.075 * unit, INK)
            self._ellipse(eye[0], eye[1] - 0.2 * unit, 0.18 * unit, 0.035 * unit, hair)
        if person.beard:
            self._ellipse(x, y + 0.72 * unit, 0.56 * unit, 0.42 * unit, hair)
        if person.glasses:
            for side in (-1, 1):
                self._ellipse(x + side * 0.33 * unit, y, 0.27 * unit, 0.24 * unit, INK, 0.05 * unit)
            self.box(x - 0.08 * unit, y - 0.04 * unit, 0.16 * unit, 0.06 * unit, INK)
        self._ellipse(x, y + 0.27 * unit, 0.09 * unit, 0.12 * unit, shade)
        self._ellipse(x, y + 0.56 * unit, 0.24 * unit, 0.07 * unit, (96, 92, 176))
        self.people.append(person)

    def _fill(self, corners: Sequence[tuple[float, float]], colour: Colour) -> None:
        points = np.round(np.array(corners) * SCALE).astype(np.int32)
        cv2.fillPoly(self._pixels, [points], colour, cv2.LINE_AA)

    def _ellipse(
        self,
        x: float,
        y: float,
        wide: float,
        high: float,
        colour: Colour,
        line: float | None = None,
    ) -> None:
        centre = round(x * SCALE), round(y * SCALE)
        axes = round(wide * SCALE), round(high * SCALE)
        thick = -1 if line is None else max(1, round(line * SCALE))
        cv2.ellipse(self._pixels, centre, axes, 0, 0, 360, colour, thick, cv2.LINE_AA)


LIGHT, TAN, BROWN = (178, 205, 240), (132, 172, 222), (92, 128, 176)


def entrance() -> Scene:
    """Two people before a glass door."""
    scene = Scene((206, 196, 184), (150, 150, 152), 270)
    scene.box(210, 60, 220, 215, (120, 104, 90))
    for left in (220, 324):
        scene.box(left, 70, 96, 205, (226, 214, 190))
        scene.box(left + 12, 82, 22, 180, (236, 226, 206))
    scene.sign(Sign("WELCOME", 264, 48, 14))
    scene.person(
        Person(178, 150, 82, BROWN, (34, 34, 40), (122, 84, 60), long_hair=True, name="Joy Okafor")
    )
    scene.person(
        Person(472, 160, 86, TAN, (150, 152, 158), (88, 62, 52), beard=True, name="Tomas Lind")
    )
    return scene


def reception() -> Scene:
    """Somebody at a desk."""
    scene = Scene((196, 204, 202), (128, 140, 158), 250)
    scene.box(40, 70, 130, 90, (214, 196, 168))
    scene.box(48, 78, 114, 74, (232, 216, 186))
    scene.person(
        Person(320, 128, 82, LIGHT, (70, 110, 160), (120, 112, 78), glasses=True, name="Finn Moran")
    )
    scene.box(0, 285, 640, 75, (86, 110, 142))
    scene.box(0, 278, 640, 10, (112, 138, 172))
    scene.sign(Sign("RECEPTION", 250, 334, 24, PAPER, None))
    return scene


def gate() -> Scene:
    """A van at a gate."""
    scene = Scene((222, 206, 180), (118, 122, 124), 230)
    for left in range(0, 640, 40):
        scene.box(left, 120, 6, 115, (142, 136, 124))
    scene.box(0, 130, 640, 6, (142, 136, 124))
    scene.box(150, 90, 250, 180, (244, 244, 242))
    scene.box(395, 140, 90, 130, (244, 244, 242))
    scene.box(410, 152, 60, 50, (156, 140, 112))
    for wheel in (215, 430):
        scene.disc(wheel, 272, 30, (52, 50, 48))
        scene.disc(wheel, 272, 14, (170, 170, 170))
    scene.sign(Sign("ROSA & CO FLOWERS", 175, 160, 15, (96, 60, 160), None))
    scene.sign(Sign("B ON 2026", 408, 238, 9))
    return scene


def corridor() -> Scene:
    """A corridor in which nobody is."""
    scene = Scene((214, 214, 206), (142, 150, 160), 235)
    scene.box(250, 80, 140, 155, (196, 196, 186))
    for left in (60, 500):
        scene.box(left, 90, 80, 200, (112, 128, 150))
        scene.disc(left + 66, 190, 4, (60, 66, 74))
    scene.sign(Sign("EXIT", 292, 58, 20, PAPER, (82, 138, 40)))
    scene.sign(Sign("ROOM 2.14", 64, 78, 9))
    return scene


SCENES = {"corridor": corridor, "entrance": entrance, "gate": gate, "reception": reception}
"""By the stream that shows it."""


def portrait(person: Person) -> Pixels:
    """Return another image of somebody: nearer, in other clothes, before another wall."""
    scene = Scene((190, 210, 200), (190, 210, 200), HEIGHT - 1)
    scene.person(person._replace(x=WIDTH / 2, y=150, size=150, coat=(90, 90, 96)))
    return scene.image
