"""The shape of a face: 468 points in three dimensions, with lips, eyes and irises finely.

The attention mesh (Grishchenko and others, "Attention Mesh: High-fidelity Face Mesh Prediction in
Real-time", 2020) sees an upright square crop round a face. Left and right are as seen in the image.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from onlooker.card import Mesh as MeshCard
from onlooker.card import WeightsError
from onlooker.media.image import Picture
from onlooker.types import Face
from onlooker.vision import pixels, runtime
from onlooker.vision.crops import crop

Points = NDArray[np.float64]
"""(n, 2) or (n, 3) in pixels of the full picture; z grows away from the viewer."""


@dataclass(frozen=True, slots=True)
class Mesh:
    """A face's points in pixels of the full picture."""

    points: Points
    """(468, 3); z is 0 near the face's middle, on the scale of x and y."""
    lips: Points
    """(80, 2)"""
    eyes: Points
    """(2, 71, 2): the eye on the left of the image, then the other."""
    irises: Points
    """(2, 5, 2): each eye's centre, then the rim."""
    score: float
    """0 to 1: how sure the model is that it saw a face."""


@dataclass(frozen=True, slots=True)
class Square:
    """An upright square round a face that may lean."""

    x: float
    y: float
    side: float
    angle: float
    """Radians that the face leans clockwise."""

    def matrix(self, size: int) -> NDArray[np.float64]:
        """(2, 3): takes the picture's pixels to those of a crop `size` wide."""
        scale = size / self.side
        along, across = scale * math.cos(self.angle), scale * math.sin(self.angle)
        return np.array(
            [
                [along, across, size / 2 - along * self.x - across * self.y],
                [-across, along, size / 2 + across * self.x - along * self.y],
            ]
        )


class Mesher:
    """Lays a mesh over each face of a picture."""

    def __init__(self, provider: str) -> None:
        self._model = runtime.load("face_mesh_attention", provider)
        decode = self._model.card.decode
        if not isinstance(decode, MeshCard):
            raise WeightsError(f"{self._model.name} is no mesh; it {self._model.card.task}")
        self._crop = decode.crop
        self._level = decode.level
        self._size = self._model.card.shape[0]

    def __call__(self, picture: Picture, faces: Sequence[Face]) -> list[Mesh]:
        """A mesh for each face, in the order of `faces`.

        The detector's box and points place a first crop, the points found in it the second one:
        from there on further crops stay where they are.
        """
        squares = [self._first(face) for face in faces]
        meshes = self._look(picture, squares)
        better = [self._next(mesh) for mesh in meshes]
        moved = [n for n, pair in enumerate(zip(squares, better, strict=True)) if _moved(*pair)]
        again = self._look(picture, [better[n] for n in moved])
        for n, mesh in zip(moved, again, strict=True):
            meshes[n] = mesh
        return meshes

    def _first(self, face: Face) -> Square:
        x1, y1, x2, y2 = face.box
        (left_x, left_y), (right_x, right_y) = face.points[:2]
        return Square(
            x=(x1 + x2) / 2,
            y=(y1 + y2) / 2,
            side=self._crop * max(x2 - x1, y2 - y1),
            angle=math.atan2(right_y - left_y, right_x - left_x),
        )

    def _next(self, mesh: Mesh) -> Square:
        left, right = mesh.points[self._level, :2]
        angle = math.atan2(right[1] - left[1], right[0] - left[0])
        upright = np.array(
            [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
        )
        turned = mesh.points[:, :2] @ upright
        low, high = turned.min(0), turned.max(0)
        x, y = upright @ (low + high) / 2
        return Square(x=x, y=y, side=self._crop * float((high - low).max()), angle=angle)

    def _look(self, picture: Picture, squares: Sequence[Square]) -> list[Mesh]:
        if not squares:
            return []
        size, card = self._size, self._model.card
        inputs = np.empty((len(squares), size, size, 3), np.float32)
        for square, out in zip(squares, inputs, strict=True):
            seen = crop(
                picture,
                square.matrix(size),
                size,
                size,
                interpolation=cv2.INTER_LINEAR,
                border=cv2.BORDER_CONSTANT,
            )
            pixels.to_pixels(seen, out, card.mean, card.scale, swap=card.colour == "RGB")
        outputs = dict(zip(self._model.outputs, self._model(inputs), strict=True))
        return [
            _mesh(square, size, {name: part[n].ravel() for name, part in outputs.items()})
            for n, square in enumerate(squares)
        ]


def _mesh(square: Square, size: int, outputs: dict[str, NDArray[np.float32]]) -> Mesh:
    """The model's outputs for one crop, in pixels of the picture."""
    back = cv2.invertAffineTransform(square.matrix(size))

    def placed(*names: str) -> Points:
        flat = np.concatenate([outputs[name].reshape(-1, 2) for name in names])
        return flat @ back[:, :2].T + back[:, 2]

    solid = outputs["output_mesh_identity"].reshape(-1, 3)
    points = np.column_stack(
        [solid[:, :2] @ back[:, :2].T + back[:, 2], solid[:, 2] * square.side / size]
    )
    return Mesh(
        points=points,
        lips=placed("output_lips"),
        eyes=placed("output_left_eye", "output_right_eye").reshape(2, -1, 2),
        irises=placed("output_left_iris", "output_right_iris").reshape(2, -1, 2),
        score=1 / (1 + math.exp(-float(outputs["conv_faceflag"][0]))),
    )


SETTLED = 0.08
"""A second crop that lies this near the first, in its sides or in radians, shows nothing new."""


def _moved(first: Square, second: Square) -> bool:
    apart = math.hypot(second.x - first.x, second.y - first.y) / first.side
    grown = abs(second.side / first.side - 1)
    turned = abs(math.remainder(second.angle - first.angle, math.tau))
    return max(apart, grown, turned) > SETTLED
