"""Faces in a picture: where they are, how well they can be seen, and what makes them one person.

YuNet gives boxes and five points. A similarity transform of these points brings each face upright
and to one size, as the embedder knows faces; the embedder turns it into a vector.
"""

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from onlooker import config
from onlooker.card import WeightsError
from onlooker.media.image import Picture, Pixels
from onlooker.types import Box, Face, Point, Pose, Quality
from onlooker.vision import geometry, pixels, runtime
from onlooker.vision.crops import crop

# Pixels from one cell to the next in the detector's three maps.
STRIDES = (8, 16, 32)
# Of two boxes that overlap by more than this, the lesser one is the same face again.
OVERLAP = 0.3
# The detector misses a quarter of the faces that fill three quarters of its picture. Where it finds
# nothing at all it looks once more at a smaller one, which costs a third of the first look.
SECOND_LOOK = 320
# Amazon reports the hundred largest.
MOST_FACES = 100


class FaceFinder:
    """Finds the faces of a picture."""

    def __init__(self, settings: config.Faces, provider: str) -> None:
        self._size = settings.size
        self._score = settings.score
        self._model = runtime.load("yunet", provider)

    def __call__(self, picture: Picture) -> tuple[Face, ...]:
        """The faces in pixels of the full picture, largest first."""
        found = self._look(picture, picture.small(self._size))
        if not len(found) and min(self._size, max(picture.width, picture.height)) > SECOND_LOOK:
            found = self._look(picture, picture.small(SECOND_LOOK))
        area = (found[:, 2] - found[:, 0]) * (found[:, 3] - found[:, 1])
        largest = np.argsort(-area, kind="stable")[:MOST_FACES]
        return tuple(_face(picture, row) for row in found[largest].tolist())

    def _look(self, picture: Picture, small: Pixels) -> NDArray[np.float32]:
        """Rows of x1, y1, x2, y2, score and ten coordinates, in pixels of the full picture."""
        height, width = small.shape[:2]
        card = self._model.card
        rows, columns = (-(-side // card.multiple) * card.multiple for side in (height, width))
        padded = np.empty((1, 3, rows, columns), np.float32)
        pixels.to_planes(small, padded[0], card.mean, card.scale)
        outputs = dict(zip(self._model.outputs, self._model(padded), strict=True))
        found = np.concatenate(
            [
                geometry.decode_yunet(
                    outputs[f"cls_{stride}"].ravel(),
                    outputs[f"obj_{stride}"].ravel(),
                    outputs[f"bbox_{stride}"][0],
                    outputs[f"kps_{stride}"][0],
                    columns // stride,
                    stride,
                    self._score,
                )
                for stride in STRIDES
            ]
        )
        middle = (found[:, 0:2] + found[:, 2:4]) / 2
        # The padding below and to the right holds no faces.
        found = found[((middle >= 0) & (middle < (width, height))).all(1)]
        found = found[geometry.suppress(found[:, :4].copy(), found[:, 4].copy(), OVERLAP)]
        x, y = picture.width / width, picture.height / height
        scale = np.array([x, y, x, y, 1, *[x, y] * 5], np.float32)
        return np.asarray(found * scale, np.float32)


def _face(picture: Picture, row: list[float]) -> Face:
    box = (row[0], row[1], row[2], row[3])
    a, b, c, d, e = zip(row[5::2], row[6::2], strict=True)
    points = (a, b, c, d, e)
    return Face(
        box=box, score=row[4], points=points, pose=pose(points), quality=quality(picture, box)
    )


# The nose tip stands out, so it wanders over the face as the head turns. FRONTAL_NOSE is how far
# down from the eyes to the mouth it lies in faces seen from the front (the median of the detector's
# points); the other two are how far it moves for a turn of 45 degrees, in distances between the
# eyes and from the eyes to the mouth, which are fitted to recorded answers of Rekognition.
FRONTAL_NOSE = 0.55
NOSE_ASIDE = 0.75
NOSE_UP = 0.36


def pose(points: tuple[Point, Point, Point, Point, Point]) -> Pose:
    """Turn of a head from its five points, in degrees; yaw and pitch are within -90 to 90.

    Signs are Amazon's: roll is positive for a head that leans clockwise in the image, yaw for one
    whose nose points to the right of the image, pitch for one that looks up.
    """
    left_eye, right_eye, nose, left_mouth, right_mouth = (complex(*point) for point in points)
    # Eyes and mouth together give a steadier direction than the eyes alone.
    across = (right_eye - left_eye) + (right_mouth - left_mouth)
    if across == 0:
        return Pose(roll=0.0, yaw=0.0, pitch=0.0)
    upright = across.conjugate() / abs(across)
    middle = (left_eye + right_eye) / 2
    mouth = ((left_mouth + right_mouth) / 2 - middle) * upright
    tip = (nose - middle) * upright
    down = tip.imag / mouth.imag if mouth.imag else FRONTAL_NOSE
    eyes_apart = abs(((right_eye - left_eye) * upright).real)
    return Pose(
        roll=math.degrees(math.atan2(across.imag, across.real)),
        yaw=math.degrees(math.atan2(tip.real - down * mouth.real, NOSE_ASIDE * eyes_apart)),
        pitch=math.degrees(math.atan((FRONTAL_NOSE - down) / NOSE_UP)),
    )


# Faces are compared at this width, so that sharpness means the same for near and far ones.
SHARPNESS_WIDTH = 64
# Variance of the Laplacian, at that width, of a face that is half sharp. Portraits then come out
# at 90 and more, as with Amazon, and faces in the dim background of a film below 40.
HALF_SHARP = 20.0


def quality(picture: Picture, box: Box) -> Quality:
    """How bright and how sharp the picture is inside `box`, 0 to 100 each.

    Brightness is the mean luma. Sharpness is v / (v + HALF_SHARP), v being the variance of the
    Laplacian of the luma at SHARPNESS_WIDTH pixels for the box's width (Pech-Pacheco et al.,
    "Diatom autofocusing in brightfield microscopy", 2000).
    """
    x1, y1, x2, y2 = box
    part, _ = picture.region(math.floor(x1), math.floor(y1), math.ceil(x2), math.ceil(y2))
    luma = cv2.cvtColor(part, cv2.COLOR_BGR2GRAY)
    scale = SHARPNESS_WIDTH / (x2 - x1)
    height, width = (max(3, round(side * scale)) for side in luma.shape)
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    luma = cv2.resize(luma, (width, height), interpolation=way)
    # Without the frame: what lies beyond it is made up.
    variance = float(cv2.Laplacian(luma, cv2.CV_16S)[1:-1, 1:-1].var())
    return Quality(
        brightness=float(luma.mean()) / 2.55,
        sharpness=100 * variance / (variance + HALF_SHARP),
    )


def recognisable(face: Face, settings: config.Faces) -> bool:
    """Whether enough of a face is left in the picture to say whose it is.

    Small and blurred faces are like each other more than like their people: in a film's dim
    background they get names at random.
    """
    wide = face.box[2] - face.box[0] >= settings.smallest
    return wide and face.quality.sharpness >= settings.sharpness


class FaceEmbedder:
    """Turns faces into vectors that are near each other for one person.

    dim: length of a vector. card: the model's card, with the calibration of Similarity.
    """

    def __init__(self, name: str, provider: str) -> None:
        self._model = runtime.load(name, provider)
        self.card = self._model.card
        embedder = self.card.embedder
        if embedder is None:
            raise WeightsError(f"{name} is no face embedder; it {self.card.task}")
        self.dim = embedder.dim
        self._chip = embedder.chip
        self._template = np.array(embedder.template)
        self._unit = embedder.calibration.metric == "cosine"

    def __call__(self, picture: Picture, faces: Sequence[Face]) -> NDArray[np.float32]:
        """One row (dim,) for each face: of unit length for a cosine embedder, else as it is."""
        if not faces:
            return np.empty((0, self.dim), np.float32)
        chips = np.empty((len(faces), *self._shape()), np.float32)
        for face, chip in zip(faces, chips, strict=True):
            self._fill(chip, picture, face)
        (vectors,) = self._model(chips)
        if self._unit:
            vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.asarray(vectors, np.float32)

    def _shape(self) -> tuple[int, int, int]:
        side = self._chip
        return (3, side, side) if self.card.layout == "NCHW" else (side, side, 3)

    def _fill(self, out: NDArray[np.float32], picture: Picture, face: Face) -> None:
        """The face upright and at the size that the model knows, normalised."""
        matrix = geometry.similarity(np.array(face.points), self._template)
        chip = crop(
            picture,
            matrix,
            self._chip,
            self._chip,
            interpolation=cv2.INTER_LINEAR,
            border=cv2.BORDER_CONSTANT,
        )
        normalise = pixels.to_planes if self.card.layout == "NCHW" else pixels.to_pixels
        normalise(chip, out, self.card.mean, self.card.scale, swap=self.card.colour == "RGB")
