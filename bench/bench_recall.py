"""Recall of each way to detect faces by their width, its false detections, and its time.

Crowds are collages: labelled faces with their surroundings, 12 to 300 pixels wide, on street scenes
without faces (checked by eye). In half of them the faces are rotated, blurred, darkened and partly
covered; in further ones, and in portraits, they wear painted masks and scarves. Close faces fill
the image or are cut by its edges. A face is found if a box overlaps its label by half (intersection
over union). A false detection is a box on the street, or a second one on a face; other people
behind a labelled face do not count.

YuNet made the labels, in much larger images, which favours YuNet a little here.

    python -m bench.bench_recall [--crowds 12] [--close 150] [--only thorough]

The images are `attributes` and `text/icdar2015` of the samples folder, which is not part of the
project: `$ONLOOKER_SAMPLES`, or `../shared/data` beside it.
"""

import argparse
import csv
import importlib
import itertools
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before NumPy is imported

import cv2
import numpy as np
import skimage.data
from bench.support.machine import measured_with
from numpy.typing import NDArray

from onlooker.config import schema
from onlooker.media import image
from onlooker.media.picture import Pixels, Still
from onlooker.models import weights
from onlooker.vision import geometry
from onlooker.vision.face_detectors import MAX_OVERLAP, Centerface, Rows, Yunet
from onlooker.vision.faces import FaceFinder, face_of
from onlooker.vision.mesher import Mesher

Floats = NDArray[np.float32]
Way = Callable[[Pixels], Rows]

FACELESS = (
    *(f"test25/img_{number}.jpg" for number in (80, 180, 200, 240, 360, 480, 500)),
    *(f"train10/img_{number}.jpg" for number in (1, 2, 4, 9)),
)
WIDTHS = (12, 16, 20, 24, 32, 48, 96, 200, 300)
CLOSE_WIDTHS = (60, 200, 400, 800, 2000)
FROM = 20
"""Width from which on faces have a column of their own."""
CONTEXT = 1.8
"""Side of the cut-out around a face, in long sides of the face."""
WHOLE = np.array([[-9999, -9999, 9999, 9999]], np.float32)
"""A patch that covers any image: other people in it do not count."""
MOST_FACES = 60
LEAST = schema.Faces().min_score

chance = np.random.default_rng(7)


@dataclass(frozen=True, slots=True)
class Label:
    """An image file and the box of its face, x1, y1, x2, y2."""

    file: Path
    box: Floats
    mask: "Mask | None" = None
    """Painted over the face."""

    def read(self) -> Pixels:
        pixels = image.read(self.file).bgr
        return pixels if self.mask is None else self.mask(pixels, self.box)


@dataclass(frozen=True, slots=True)
class Scene:
    """An image, its faces, and the boxes (n, 4) in which other detections do not count."""

    pixels: Pixels
    faces: Floats
    patches: Floats


class Mask:
    """A painter of masks and scarves over the faces of square images."""

    def __init__(self) -> None:
        # The painter that trains the head for covered faces.
        sys.path.append(str(Path(__file__).resolve().parent.parent / "models" / "training"))
        self._painter = importlib.import_module("cover").Painter
        self._find = Yunet("cpu")
        self._mesh = Mesher("cpu")

    def __call__(self, pixels: Pixels, box: Floats) -> Pixels:
        [rows] = self._find([pixels], 0.5)
        if not len(rows):
            return pixels
        row = rows[geometry.iou(rows[:, :4].copy(), box[None])[:, 0].argmax()]
        [fitted] = self._mesh([Still(pixels)], [face_of(Still(pixels), row.tolist())])
        assert fitted.mesh is not None
        painter = self._painter(chance, pixels, fitted.mesh.points[:, :2])
        return np.asarray(painter.lay(painter.mask(fitted.mesh.points[1, :2])), np.uint8)


def read_labels(folder: Path) -> list[Label]:
    with (folder / "labels.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["skip"] == "0"]
    labels = []
    for row in rows:
        x, y, width, height = (float(row[key]) for key in "xywh")
        labels.append(
            Label(folder / row["file"], np.array([x, y, x + width, y + height], np.float32))
        )
    return labels


def cut(label: Label, half_width: float, half_height: float) -> tuple[Pixels, Floats]:
    """Return the cut-out around a face, and the face's box in it."""
    pixels = label.read()
    middle = (label.box[:2] + label.box[2:]) / 2
    half = np.array([half_width, half_height])
    left, top = np.maximum(0, middle - half).astype(int)
    right, bottom = np.minimum(pixels.shape[1::-1], middle + half).astype(int)
    return pixels[top:bottom, left:right], label.box - np.tile([left, top], 2).astype(np.float32)


def scaled(pixels: Pixels, factor: float) -> Pixels:
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    size = [max(1, round(side * factor)) for side in pixels.shape[1::-1]]
    return np.asarray(cv2.resize(pixels, size, interpolation=how), np.uint8)


def spoiled(patch: Pixels) -> Pixels:
    """Return the face rotated by up to 25 degrees; often blurred, covered, darker or paler."""
    height, width = patch.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), chance.uniform(-25, 25), 1)
    out = cv2.warpAffine(patch, turn, (width, height), borderMode=cv2.BORDER_REFLECT)
    if chance.random() < 0.5:
        length = max(1, round(width / CONTEXT * chance.uniform(0, 0.2)))
        out = cv2.blur(out, (length, 1) if chance.random() < 0.5 else (1, length))
    if chance.random() < 0.4:
        colour, share = chance.integers(0, 256, 3), chance.uniform(0.5, 0.72)
        if chance.random() < 0.5:
            out[round(height * share) :] = colour
        else:
            out[:, round(width * share) :] = colour
    noisy = out * chance.uniform(0.25, 1.3) + chance.normal(0, 6, out.shape)
    return np.asarray(noisy.clip(0, 255), np.uint8)


def crowd(street: Path, labels: Sequence[Label], size: tuple[int, int], hard: bool) -> Scene:
    """Return a street of `size` (width, height) with many faces, the widest first."""
    pixels = np.array(cv2.resize(image.read(street).bgr, size), np.uint8)
    faces: list[Floats] = []
    patches: list[Floats] = []
    tallest = float(chance.choice([40, 100, WIDTHS[-1]]))
    for width in -np.sort(-np.exp(chance.uniform(np.log(WIDTHS[0]), np.log(tallest), 160))):
        label = labels[int(chance.integers(len(labels)))]
        half = float((label.box[2:] - label.box[:2]).max()) * CONTEXT / 2
        patch, box = cut(label, half, half)
        factor = float(width / (box[2] - box[0]))
        patch = scaled(patch, factor)
        free = np.array(size) - patch.shape[1::-1]
        if len(faces) == MOST_FACES or (free <= 0).any():
            continue
        for _ in range(20):
            corner = chance.integers(0, free)
            place = np.concatenate([corner, corner + patch.shape[1::-1]]).astype(np.float32)
            if not patches or not geometry.iou(place[None], np.array(patches)).any():
                x, y = corner
                shown = spoiled(patch) if hard else patch
                pixels[y : y + patch.shape[0], x : x + patch.shape[1]] = shown
                patches.append(place)
                faces.append(np.asarray(box * factor + np.tile(corner, 2), np.float32))
                break
    # As a camera would have stored it.
    _, jpeg = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 80])
    return Scene(image.decode(jpeg.tobytes()).bgr, np.array(faces), np.array(patches))


def close(labels: Sequence[Label]) -> Scene:
    """Return an image of three quarters to five quarters of a face's box."""
    label = labels[int(chance.integers(len(labels)))]
    size = label.box[2:] - label.box[:2]
    half_width, half_height = (float(side) for side in size * chance.uniform(0.75, 1.25) / 2)
    patch, box = cut(label, half_width, half_height)
    factor = 2 ** chance.uniform(6, 10.5) / max(patch.shape)
    face = np.asarray(box[None] * factor, np.float32)
    return Scene(scaled(patch, float(factor)), face, WHOLE)


def portrait(labels: Sequence[Label]) -> Scene:
    """Return a whole image, up to four times as large as it was."""
    label = labels[int(chance.integers(len(labels)))]
    factor = float(chance.choice([1, 1.5, 2.5, 4]))
    return Scene(scaled(label.read(), factor), np.asarray(label.box[None] * factor), WHOLE)


def judge(rows: Rows, scene: Scene) -> tuple[NDArray[np.bool_], int]:
    """Return which faces are found, and the number of false detections."""
    hit = np.zeros(len(scene.faces), np.bool_)
    made_up = 0
    for row in rows[np.argsort(-rows[:, 4], kind="stable")]:
        overlaps = geometry.iou(row[None, :4].copy(), scene.faces)[0]
        best = int(overlaps.argmax()) if len(hit) else -1
        x, y = (row[:2] + row[2:4]) / 2
        left, top, right, bottom = scene.patches.T
        inside = ((left <= x) & (x < right) & (top <= y) & (y < bottom)).any()
        if best >= 0 and overlaps[best] >= 0.5 and not hit[best]:
            hit[best] = True
        elif not inside or (best >= 0 and overlaps[best] > 0.1):
            made_up += 1
    return hit, made_up


def report(title: str, scenes: Sequence[Scene], edges: Sequence[int], ways: dict[str, Way]) -> None:
    widths = np.concatenate([scene.faces[:, 2] - scene.faces[:, 0] for scene in scenes])
    bands = [(widths >= low) & (widths < high) for low, high in itertools.pairwise(edges)]
    print(f"\n{title}: {len(scenes)} images, {len(widths)} faces; recall from each width on")
    head = "".join(f"{edge:>7}" for edge in edges[:-1])
    print(f"{'':<26}{head}{f'{FROM}+':>8}{'all':>8}{'precision':>11}{'CPU ms':>8}")
    for name, way in ways.items():
        way(scenes[0].pixels)  # warm up
        began = time.process_time()
        found = [way(scene.pixels) for scene in scenes]
        took = 1000 * (time.process_time() - began) / len(scenes)
        verdicts = [judge(rows, scene) for rows, scene in zip(found, scenes, strict=True)]
        hit = np.concatenate([each for each, _ in verdicts])
        made_up = sum(number for _, number in verdicts)
        shares = "".join(f"{hit[band].mean():>7.3f}" if band.any() else "      -" for band in bands)
        precision = hit.sum() / max(1, hit.sum() + made_up)
        recall = f"{hit[widths >= FROM].mean():>8.3f}{hit.mean():>8.3f}"
        print(f"{name:<26}{shares}{recall}{precision:>11.3f}{took:>8.0f}", flush=True)


def alarms(title: str, pictures: Sequence[Pixels], ways: dict[str, Way]) -> None:
    print(f"\n{title}: {len(pictures)} images; false detections")
    for name, way in ways.items():
        print(f"{name:<26}{sum(len(way(pixels)) for pixels in pictures):>7}")


def finder(detection: Literal["fast", "balanced", "thorough"]) -> Way:
    find = FaceFinder(schema.Faces(detection=detection), "cpu")

    def way(pixels: Pixels) -> Rows:
        rows = [
            [*face.box, face.score, *np.ravel(face.points)] for face in find([Still(pixels)])[0]
        ]
        return np.array(rows, np.float32).reshape(-1, 15)

    return way


def passes(*each: tuple[Yunet | Centerface, float, int]) -> Way:
    """Return a way that unites detectors, each with its maximum enlargement and long side.

    Of boxes that overlap the best one stays.
    """

    def way(pixels: Pixels) -> Rows:
        found = []
        for detector, most, side in each:
            factor = min(most, side / max(pixels.shape))
            [rows] = detector([pixels if factor == 1 else scaled(pixels, factor)], LEAST)
            rows[:, :4] /= factor
            found.append(rows)
        rows = np.concatenate(found)
        kept = geometry.suppress(rows[:, :4].copy(), rows[:, 4].copy(), MAX_OVERLAP)
        return np.asarray(rows[kept], np.float32)

    return way


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    arguments.add_argument("--crowds", type=int, default=12)
    arguments.add_argument("--close", type=int, default=150)
    arguments.add_argument("--only", nargs="*", help="the ways to compare, by their names")
    chosen = arguments.parse_args()
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    samples = Path(os.environ.get("ONLOOKER_SAMPLES", beside))
    if not (samples / "attributes" / "labels.csv").is_file():
        print(f"no labelled faces in {samples}; set ONLOOKER_SAMPLES to the samples folder")
        sys.exit(0)
    weights.pull(["yunet", "centerface"])
    cv2.setNumThreads(1)
    print(measured_with("onnxruntime-openvino", "opencv-python-headless"))

    labels = read_labels(samples / "attributes")
    streets = [samples / "text" / "icdar2015" / name for name in FACELESS]
    sizes = ((1280, 720), (1920, 1080))
    clear, hard = (
        [
            crowd(streets[n % len(streets)], labels, sizes[n % 2], spoil)
            for n in range(chosen.crowds)
        ]
        for spoil in (False, True)
    )
    near, far = Yunet("cpu"), Centerface("cpu")
    ways: dict[str, Way] = {
        "fast": finder("fast"),
        "balanced": finder("balanced"),
        "thorough": finder("thorough"),
        "YuNet, natural size": passes((near, 1, 9999)),
        "YuNet, 1x and 2x": passes((near, 1, 9999), (near, 2, 9999)),
        "CenterFace, up to 1280": passes((far, 1, 1280)),
        "CenterFace, natural size": passes((far, 1, 9999)),
        "CenterFace, 2x up to 2560": passes((far, 2, 2560)),
        "YuNet 640, CenterFace 1920": passes((near, 1, 640), (far, 1, 1920)),
        "YuNet 640, CenterFace 2560": passes((near, 1, 640), (far, 2, 2560)),
    }
    if chosen.only:
        ways = {name: way for name, way in ways.items() if name in chosen.only}
    report("clear crowds", clear, WIDTHS, ways)
    report("spoiled crowds", hard, WIDTHS, ways)
    report("close faces", [close(labels) for _ in range(chosen.close)], CLOSE_WIDTHS, ways)
    mask = Mask()
    dressed = [replace(label, mask=mask) for label in labels]
    masked = [
        crowd(streets[n % len(streets)], dressed, sizes[n % 2], False)
        for n in range(chosen.crowds // 2)
    ]
    report("masked crowds", masked, WIDTHS, ways)
    report("masked portraits", [portrait(dressed) for _ in range(chosen.close)], CLOSE_WIDTHS, ways)
    shipped = sorted(Path(skimage.data.__file__).parent.glob("*.*g"))
    named = [cv2.imread(str(path)) for path in shipped if path.stem not in ("astronaut", "camera")]
    things = [np.asarray(each, np.uint8) for each in named if each is not None]
    alarms("scikit-image's images without a face", things, ways)
    alarms("streets without a face", [image.read(street).bgr for street in streets], ways)


if __name__ == "__main__":
    main()
