"""Faces in a picture: where they are."""

import numpy as np
from numpy.typing import NDArray

from onlooker import config
from onlooker.media.image import Picture, Pixels
from onlooker.types import Face
from onlooker.vision import geometry, pixels, runtime
from onlooker.vision.pose import pose
from onlooker.vision.quality import quality

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
