"""Synthetic covered faces, to train the heads.

Labelled faces behind hands, masks or microphones are rare. Here such things are painted over bare
faces. They look crude, but a network's features separate them from bare faces, and the result
carries over to real hands.
"""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Points = NDArray[np.float64]
Painted = tuple[Pixels, NDArray[np.float32]]
"""A mask, 255 where the face is covered, and the colours of the cover."""

EYES = ((33, 160, 158, 133, 153, 144), (362, 385, 387, 263, 373, 380))
NOSE = (98, 4, 327, 2)
MOUTH = (61, 40, 270, 291, 321, 91)
CHIN = (13, 14, 17)
FEATURES = (*EYES, NOSE, MOUTH)
"""Outlines of the features, in mesh points."""
RIM = (234, 454, 10, 152, 127, 356, 172, 397)
CHEEKS = (50, 280, 117, 346)
LOWER_FACE = (
    234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288, 361,
    323, 454,
)  # fmt: skip
RIDGES = ((351, 6, 122), (357, 195, 128), (358, 4, 129))
"""Where a mask ends on the nose: high, in its middle, at its tip."""
CLOTHS = (
    (235, 235, 235), (230, 205, 165), (225, 190, 130), (40, 40, 40), (25, 25, 25), (60, 60, 170),
    (200, 210, 190), (180, 150, 220), (120, 90, 60), (90, 140, 90), (70, 70, 110), (30, 80, 160),
)  # fmt: skip
"""Usual colours of masks and scarves, BGR."""

COVERED = 0.35
"""Minimum share of an eye, the nose or the mouth that is hidden in a covered face."""
BARE = 0.02
"""Maximum share of each that is hidden if something only comes near the face."""


class Painter:
    """Paints over one face: a BGR crop (size, size, 3) and its mesh points (468, 2) in it."""

    def __init__(self, rng: np.random.Generator, crop: Pixels, points: Points) -> None:
        self.rng = rng
        self.crop = crop
        self.points = points
        self.size = len(crop)
        self.scale = float(np.ptp(points[:, 1]))
        column, row = points[list(CHEEKS)].astype(int).clip(0, self.size - 1).T
        self.skin = np.median(crop[row, column].astype(np.float64), axis=0)

    def hidden(self, mask: Pixels) -> list[float]:
        """Return the share of each of FEATURES that `mask` hides."""
        shares = []
        for outline in FEATURES:
            area = self._polygon(self.points[list(outline)])
            area = np.asarray(cv2.dilate(area, np.ones((5, 5), np.uint8)), np.uint8)
            shares.append(float((mask[area > 0] > 127).mean()))
        return shares

    def lay(self, painted: Painted) -> Pixels:
        """Return the crop with the painting over it, with soft edges and a shadow."""
        mask, colours = painted
        if self.crop.std(2).mean() < 3:  # a grey image
            colours = colours.mean(2, keepdims=True).repeat(3, 2)
        soft = cv2.GaussianBlur(mask, (0, 0), self.rng.uniform(0.6, 2)).astype(np.float32)
        shadow = cv2.GaussianBlur(np.roll(mask, (4, 3), (0, 1)), (0, 0), 5).astype(np.float32)
        alpha = soft[..., None] / 255
        below = self.crop * (1 - 0.35 * self.rng.random() * shadow[..., None] / 255)
        blurred = cv2.GaussianBlur(colours, (0, 0), self.rng.uniform(0.5, 1.5))
        mixed = below * (1 - alpha) + blurred * alpha
        return np.asarray(mixed.clip(0, 255), np.uint8)

    def hand(self, target: Points) -> Painted:
        """Paint a palm with fingers and a forearm, in the face's own skin colour."""
        rng, scale = self.rng, self.scale
        angle = rng.uniform(0, 2 * np.pi)
        along = np.array([np.cos(angle), np.sin(angle)])
        across = np.array([-along[1], along[0]])
        palm = rng.uniform(0.28, 0.45) * scale
        middle = target - along * palm * rng.uniform(0.2, 1.3)
        colour = self.skin * rng.uniform(0.75, 1.2) + rng.normal(0, 8, 3)
        mask, colours = self._empty(), self._cloth(colour, 12)
        axes = (int(palm * 0.8), int(palm * 0.6))
        cv2.ellipse(mask, _pixel(middle), axes, np.degrees(angle), 0, 360, 255, -1, cv2.LINE_AA)
        for finger in range(rng.integers(2, 6)):
            root = middle + across * (finger - 1.8) * palm * 0.32
            bend = across * rng.normal(0, 0.12) * palm
            tip = root + along * palm * rng.uniform(0.9, 1.7) + bend
            _stick(mask, root, tip, palm * 0.15)
            beside = across * palm * 0.16
            crease = tuple((colour * 0.6).clip(0, 255).tolist())
            cv2.line(colours, _pixel(root + beside), _pixel(tip + beside), crease, 2, cv2.LINE_AA)
        _stick(mask, middle, middle - along * scale * 2, palm * 0.45)
        return mask, colours

    def mask(self, target: Points) -> Painted:
        """Paint a face mask or a scarf over mouth and nose, shaded as the face below it is."""
        rng = self.rng
        scarf = rng.random() < 0.2
        trim = int(rng.integers(0, 3))
        outline = self.points[list(LOWER_FACE[trim : len(LOWER_FACE) - trim])]
        middle = self.points[164]
        outline = middle + (outline - middle) * rng.uniform(1, 1.06)
        ridge = self.points[list(RIDGES[rng.integers(1, 3) if scarf else rng.integers(0, 3)])]
        if scarf:
            down = np.array([0, 0.5 * self.scale])
            outline = self.points[[234, 234, 454, 454]] + [down * 0, down, down, down * 0]
        mask = self._empty()
        cv2.fillPoly(mask, [np.vstack([outline, ridge]).astype(np.int32)], 255, cv2.LINE_AA)

        usual = CLOTHS[rng.integers(len(CLOTHS))]
        colour = np.array(usual if rng.random() < 0.75 else rng.uniform(0, 255, 3), np.float64)
        colours = self._cloth(colour, 6)
        across, down_face = self._axes(middle)
        kind = rng.integers(4)
        if kind == 0:  # folds
            for fold in range(rng.integers(2, 5)):
                crease = np.exp(-(((down_face + 0.05 - 0.14 * fold) / 0.014) ** 2))
                colours *= (1 - 0.25 * crease)[..., None]
        elif kind == 1:  # a pattern
            waves = rng.uniform(15, 45)
            stripes = [np.sin(across * waves) > 0, np.sin(down_face * waves) > 0]
            shown = (stripes[0], stripes[1], stripes[0] & stripes[1], stripes[0] ^ stripes[1])
            colours[shown[rng.integers(4)]] = rng.uniform(0, 255, 3)
        elif kind == 2:  # a ridge in the middle
            colours *= (1 - 0.2 * np.exp(-((across / 0.015) ** 2)))[..., None]
        return mask, np.asarray(colours * self._shade(mask), np.float32)

    def microphone(self, target: Points) -> Painted:
        """Paint a dark ball on a stick that comes from below."""
        rng = self.rng
        radius = rng.uniform(0.12, 0.28) * self.scale
        angle = rng.uniform(0.15, 0.85) * np.pi
        along = np.array([np.cos(angle), np.sin(angle)])
        mask = self._empty()
        axes = (int(radius * 1.2), int(radius))
        cv2.ellipse(mask, _pixel(target), axes, np.degrees(angle), 0, 360, 255, -1, cv2.LINE_AA)
        _stick(mask, target, target + along * self.scale * 2, radius * rng.uniform(0.4, 0.8))
        grey = rng.uniform(10, 110)
        colours = self._cloth(np.full(3, grey), 15)
        colours += rng.normal(0, 14, (self.size, self.size, 1)).astype(np.float32)
        light = (grey + 60,) * 3
        cv2.circle(colours, _pixel(target - radius * 0.3), int(radius * 0.4), light, -1)
        return mask, colours

    def hair(self, target: Points) -> Painted:
        """Paint strands that hang from above the forehead."""
        rng, scale = self.rng, self.scale
        usual = [(20, 20, 25), (40, 50, 70), (60, 90, 130), (110, 160, 200), (120, 120, 120)]
        colour = np.array(usual[rng.integers(5)], np.float64)
        mask, colours = self._empty(), self._cloth(colour, 15)
        root = np.array([target[0] + rng.normal(0, 0.3) * scale, self.points[10, 1] - 0.2 * scale])
        steps = np.linspace(0, 1, 12)[:, None]
        for _ in range(rng.integers(15, 60)):
            top = root + rng.normal(0, 0.12, 2) * scale
            bow = target + rng.normal(0, 0.15, 2) * scale
            end = bow + np.array([rng.normal(0, 0.2), rng.uniform(0.1, 0.8)]) * scale
            curve = (1 - steps) ** 2 * top + 2 * steps * (1 - steps) * bow + steps**2 * end
            strand = [curve.astype(np.int32)]
            cv2.polylines(mask, strand, False, 255, int(rng.integers(2, 6)), cv2.LINE_AA)
            shade = tuple((colour + rng.normal(0, 18)).clip(0, 255).tolist())
            cv2.polylines(colours, strand, False, shade, 1, cv2.LINE_AA)
        return mask, colours

    def thing(self, target: Points) -> Painted:
        """Paint a bar, a cup or a ball of any colour."""
        rng = self.rng
        wide, high = rng.uniform(0.25, 1.3, 2) * self.scale
        turned = float(rng.uniform(0, 180))
        mask = self._empty()
        if rng.random() < 0.5:
            corners = cv2.boxPoints((target.tolist(), (float(wide), float(high)), turned))
            cv2.fillConvexPoly(mask, corners.astype(np.int32), 255, cv2.LINE_AA)
        else:
            axes = (int(wide / 2), int(high / 2))
            cv2.ellipse(mask, _pixel(target), axes, turned, 0, 360, 255, -1, cv2.LINE_AA)
        return mask, self._cloth(rng.uniform(0, 255, 3), rng.uniform(5, 40))

    def _axes(self, middle: Points) -> tuple[Points, Points]:
        """Return each pixel's place across and down the face from `middle`, in heights of it."""
        right = self.points[454] - self.points[234]
        right = right / np.linalg.norm(right)
        y, x = np.mgrid[0 : self.size, 0 : self.size]
        x, y = x - middle[0], y - middle[1]
        across = (x * right[0] + y * right[1]) / self.scale
        return across, (y * right[0] - x * right[1]) / self.scale

    def _shade(self, mask: Pixels) -> NDArray[np.float32]:
        """Return the light on the face, 1 in the median of the mask: (size, size, 1)."""
        grey = cv2.cvtColor(self.crop, cv2.COLOR_BGR2GRAY).astype(np.float32)
        light = cv2.GaussianBlur(grey, (0, 0), max(1.0, 0.06 * self.scale))
        inside = mask > 127
        middle = float(np.median(light[inside])) if inside.any() else 128.0
        shade = (1 + 0.6 * (light / max(1.0, middle) - 1)) * np.clip(middle / 150, 0.5, 1.15)
        return np.asarray(shade[..., None], np.float32)

    def _empty(self) -> Pixels:
        return np.zeros((self.size, self.size), np.uint8)

    def _polygon(self, points: Points) -> Pixels:
        mask = self._empty()
        hull = cv2.convexHull(points.astype(np.int32))
        cv2.fillConvexPoly(mask, hull, 255, cv2.LINE_AA)
        return mask

    def _cloth(self, colour: Points, rough: float) -> NDArray[np.float32]:
        """Return a surface of one colour with grain, blotches and light from one side."""
        rng, size = self.rng, self.size
        blotches = rng.normal(0, rough, (4, 4)).astype(np.float32)
        uneven = cv2.resize(blotches, (size, size), interpolation=cv2.INTER_CUBIC)
        y, x = np.mgrid[0:size, 0:size] / size - 0.5
        light = 40 * (rng.uniform(-1, 1) * x + rng.uniform(-1, 1) * y)
        surface = uneven + light + rng.normal(0, 3, (size, size))
        return np.asarray((surface[..., None] + colour).clip(0, 255), np.float32)


KINDS: tuple[Callable[[Painter, Points], Painted], ...] = (
    Painter.hand,
    Painter.hand,
    Painter.hand,
    Painter.mask,
    Painter.mask,
    Painter.mask,
    Painter.microphone,
    Painter.microphone,
    Painter.hair,
    Painter.thing,
    Painter.thing,
)
MAX_TRIES = 20


def cover(painter: Painter) -> Pixels | None:
    """Return the face with one of its features hidden; None if no try hid one."""
    rng = painter.rng
    for _ in range(MAX_TRIES):
        feature = [*FEATURES, CHIN][rng.integers(5)]
        target = painter.points[list(feature)].mean(0) + rng.normal(0, 0.06, 2) * painter.scale
        painted = KINDS[rng.integers(len(KINDS))](painter, target)
        if max(painter.hidden(painted[0])) >= COVERED:
            return painter.lay(painted)
    return None


def come_near(painter: Painter) -> Pixels | None:
    """Return the face with something beside it that hides no feature; None if no try did."""
    rng = painter.rng
    for _ in range(MAX_TRIES):
        target = painter.points[RIM[rng.integers(len(RIM))]]
        target = target + (target - painter.points[1]) * rng.uniform(0, 0.5)
        painted = KINDS[rng.integers(len(KINDS))](painter, target)
        visible = (painted[0] > 127).mean()
        if max(painter.hidden(painted[0])) <= BARE and visible > BARE:
            return painter.lay(painted)
    return None


def _stick(mask: Pixels, start: Points, end: Points, radius: float) -> None:
    cv2.line(mask, _pixel(start), _pixel(end), 255, max(1, int(2 * radius)), cv2.LINE_AA)


def _pixel(point: Points) -> tuple[int, int]:
    x, y = point.astype(int).tolist()
    return x, y
