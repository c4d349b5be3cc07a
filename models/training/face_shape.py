"""Training of `models/face_mesh_shape.npz`: the mean face, and the way up of a face by its mesh.

    python models/training/face_shape.py FOLDER

FOLDER is that of `heads.py`, with the same people held out. Each face is cropped at random angles,
near its place and size, blurred, darkened or covered like the faces of real images; the network
learns the angle from the mesh of the crop. The printed figures are of the people held out.
"""

import hashlib
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cover
import cv2
import numpy as np
from heads import Example, examples
from numpy.typing import NDArray
from rich.progress import track
from sklearn.decomposition import PCA
from sklearn.neural_network import MLPRegressor

from onlooker.media.picture import Pixels
from onlooker.models import session
from onlooker.vision.crops import Square, crop
from onlooker.vision.face_shape import features
from onlooker.vision.mesh import Mesh, MeshModel
from onlooker.vision.pose import angles, rotation

OUT = Path(__file__).parent.parent / "face_mesh_shape.npz"

CROPS = 36
"""Crops of each face; half of them are placed again by the mesh of the first."""
WIDE, FACE = 384, 192
"""Sides in pixels of the image that crops are cut from, and of the mesh's crop in it."""
UPRIGHT_SHARE = 0.3
UPRIGHT_DEGREES = 25.0
COMPONENTS = 100
HIDDEN = (64, 32)
COPIES, NOISE, EPOCHS = 3, 0.2, 12
ROUNDS = 3
LEFT, RIGHT = [33, 61, 127], [263, 291, 356]
FOREHEAD, CHIN = 10, 152


@dataclass
class Sample:
    """Meshes with the angles of their faces, in degrees clockwise against the crop."""

    meshes: list[NDArray[np.float32]] = field(default_factory=list)
    angles: list[float] = field(default_factory=list)


class Cropper:
    """Makes crops of faces at random angles, and their meshes."""

    def __init__(self) -> None:
        self._model = session.load(MeshModel.CARD, "openvino")
        self._place = self._model.outputs.index("output_mesh_identity")
        self._rng = np.random.default_rng(1)

    def __call__(self, example: Example) -> Iterator[tuple[NDArray[np.float32], float]]:
        """Yield meshes of the face and their angles."""
        rng = self._rng
        square = example.mesh.square(1.5 * WIDE / FACE)
        size = (WIDE, WIDE)
        matrix = square.matrix(WIDE)
        wide = crop(example.picture, matrix, *size, cv2.INTER_LINEAR, cv2.BORDER_REFLECT_101)
        points = example.mesh.points[:, :2] @ matrix[:, :2].T + matrix[:, 2]
        covered = cover.cover(cover.Painter(rng, wide, points))
        images = [wide, wide, wide if covered is None else covered]
        images += [np.ascontiguousarray(each[:, ::-1]) for each in images]
        for image in images:
            first = [self._square() for _ in range(CROPS // 12)]
            meshes = self._run(image, first)
            yield from zip(meshes, map(_angle, first), strict=True)
            again = [self._placed(*each) for each in zip(first, meshes, strict=True)]
            yield from zip(self._run(image, again), map(_angle, again), strict=True)

    def _square(self) -> Square:
        """Return the crop round a face, with the errors of a detector's box."""
        rng = self._rng
        reach = UPRIGHT_DEGREES if rng.random() < UPRIGHT_SHARE else 180.0
        x, y = WIDE / 2 + rng.normal(0, 0.07 * FACE / 1.5, 2)
        side = FACE * math.exp(rng.normal(0, 0.12))
        return Square(x=x, y=y, side=side, angle=math.radians(rng.uniform(-reach, reach)))

    def _placed(self, square: Square, mesh: NDArray[np.float32]) -> Square:
        """Return the crop round the points of a mesh, at about the same angle."""
        back = cv2.invertAffineTransform(square.matrix(FACE))
        low, high = mesh[:, :2].min(0), mesh[:, :2].max(0)
        x, y = back[:, :2] @ ((low + high) / 2) + back[:, 2]
        side = 1.5 * float((high - low).max()) * square.side / FACE
        angle = square.angle + math.radians(self._rng.normal(0, 6))
        return Square(x=float(x), y=float(y), side=side, angle=angle)

    def _run(self, image: Pixels, squares: list[Square]) -> NDArray[np.float32]:
        crops = [self._spoilt(self._cut(image, square)) for square in squares]
        points = self._model(np.stack(crops))[self._place]
        return np.asarray(points.reshape(len(squares), -1, 3), np.float32)

    def _cut(self, image: Pixels, square: Square) -> Pixels:
        border = int(self._rng.choice([cv2.BORDER_CONSTANT, cv2.BORDER_REFLECT_101]))
        matrix = square.matrix(FACE)
        return np.asarray(cv2.warpAffine(image, matrix, (FACE, FACE), borderMode=border), np.uint8)

    def _spoilt(self, image: Pixels) -> Pixels:
        """Return the image as a poor camera may have taken it; two in five as they are."""
        rng, kind = self._rng, self._rng.random()
        if kind < 0.25:
            side = round(FACE * rng.uniform(0.12, 0.5))
            small = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
            image = np.asarray(cv2.resize(small, (FACE, FACE)), np.uint8)
        elif kind < 0.35:
            image = np.asarray(cv2.GaussianBlur(image, (0, 0), rng.uniform(1, 4)), np.uint8)
        elif kind < 0.45:
            light = image * rng.uniform(0.2, 1.6) + rng.uniform(-30, 40)
            image = np.asarray(light.clip(0, 255), np.uint8)
        elif kind < 0.53:
            grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
            image = np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR), np.uint8)
        elif kind < 0.6:
            noisy = image + rng.normal(0, rng.uniform(5, 25), image.shape)
            image = np.asarray(noisy.clip(0, 255), np.uint8)
        return image


def _angle(square: Square) -> float:
    return -math.degrees(square.angle)


def mean_face(meshes: list[Mesh]) -> NDArray[np.float64]:
    """Return the mean face: symmetric, as large as 1 on average, level in the median photograph."""
    mean = _normal(meshes[0].points)
    for _ in range(ROUNDS):
        shapes = [_normal(mesh.points) for mesh in meshes]
        mean = _normal(np.median([each @ rotation(each, mean) for each in shapes], axis=0))
    across = mean[RIGHT] - mean[LEFT]
    right = across.sum(0) / np.linalg.norm(across.sum(0))
    down = mean[CHIN] - mean[FOREHEAD]
    down -= right * (right @ down)
    down /= np.linalg.norm(down)
    mean = mean @ np.column_stack([right, down, np.cross(right, down)])
    mirrored = mean * (-1, 1, 1)
    twin = np.linalg.norm(mean[:, None] - mirrored, axis=2).argmin(1)
    mean = _normal((mean + mirrored[twin]) / 2)
    pitches = [angles(rotation(_normal(mesh.points), mean)).pitch for mesh in meshes]
    level = math.radians(float(np.median(pitches)))
    turn = np.eye(3)
    turn[1:, 1:] = [[math.cos(level), math.sin(level)], [-math.sin(level), math.cos(level)]]
    return np.asarray(mean @ turn.T)


def _normal(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return points about their middle, at 1 from it on average."""
    centred = points - points.mean(0)
    return np.asarray(centred / np.sqrt(np.square(centred).sum() / len(points)))


def train(learned: Sample) -> list[NDArray[np.float64]]:
    """Return the network's weights and offsets, layer by layer."""
    values = features(np.array(learned.meshes))
    angles = np.radians(learned.angles)
    targets = np.column_stack([np.cos(angles), np.sin(angles)])
    principal = PCA(COMPONENTS, whiten=True, random_state=1).fit(values)
    # Noise keeps the network from being certain of what it has not seen.
    rng = np.random.default_rng(2)
    known = np.tile(principal.transform(values), (COPIES, 1))
    noisy = known + rng.normal(0, NOISE, known.shape)
    network = MLPRegressor(
        hidden_layer_sizes=HIDDEN, batch_size=256, max_iter=EPOCHS, tol=0, random_state=1
    ).fit(noisy, np.tile(targets, (COPIES, 1)))
    # The principal components are linear, and so a part of the first layer.
    scaled = principal.components_.T / np.sqrt(principal.explained_variance_)
    first = scaled @ network.coefs_[0]
    weights = [first, *network.coefs_[1:]]
    offsets = [network.intercepts_[0] - principal.mean_ @ first, *network.intercepts_[1:]]
    return [each for pair in zip(weights, offsets, strict=True) for each in pair]


def report(layers: list[NDArray[np.float64]], kept: Sample) -> None:
    """Print the errors of the people held out, by the angle of the crop."""
    values = features(np.array(kept.meshes)).astype(np.float64)
    for n in range(0, len(layers), 2):
        values = values @ layers[n] + layers[n + 1]
        if n + 2 < len(layers):
            values = np.maximum(values, 0)
    found = np.degrees(np.arctan2(values[:, 1], values[:, 0]))
    truth = np.array(kept.angles)
    errors = np.abs((found - truth + 180) % 360 - 180)
    sure = np.hypot(*values.T)
    for low in range(0, 180, 20):
        some = (np.abs(truth) >= low) & (np.abs(truth) < low + 20)
        print(
            f"{low:3} to {low + 20:3} degrees: {some.sum():6} crops, median error "
            f"{np.median(errors[some]):4.1f}, {(errors[some] < 30).mean():.3f} within 30, "
            f"median length {np.median(sure[some]):.2f}"
        )


def main(folder: Path) -> None:
    cropper = Cropper()
    learned, kept = Sample(), Sample()
    faces = list(examples(folder))
    mean = mean_face([each.mesh for each in faces if not each.held_out])
    for example in track(faces, "crops"):
        sample = kept if example.held_out else learned
        for mesh, angle in cropper(example):
            sample.meshes.append(mesh)
            sample.angles.append(math.remainder(angle, 360))
    print(f"{len(learned.angles)} crops to learn from, {len(kept.angles)} of people held out")
    layers = train(learned)
    with OUT.open("wb") as file:
        arrays: dict[str, Any] = {"mean": mean.astype(np.float32)}
        for n, each in enumerate(layers):
            arrays[f"{('weights', 'offsets')[n % 2]}_{n // 2}"] = each.astype(np.float16)
        np.savez(file, **arrays)
    print(f"{OUT.name}: sha256 {hashlib.sha256(OUT.read_bytes()).hexdigest()}")
    report(layers, kept)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
