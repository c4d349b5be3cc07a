"""Heads rendered at known angles: how far off yaw, pitch and roll are.

    python -m tests.proofs.poses [--images FOLDER] [--heads 30]

A head is the mesh of a photograph with the photograph on it (`tests.support.rendered_head`); FOLDER
has photographs of one person each. Without it there is one head, scikit-image's astronaut. Each is
rendered at 24 angles within 60 degrees, a third of them of one axis at a time. Exits with 1 unless
the mean error of the poses of faces that a mesh fits is at most 4 degrees for each angle.
"""

import argparse
import math
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import skimage.data
from tests.support.rendered_head import RenderedHead
from tests.support.single import FaceFinder, Mesher

from onlooker.config import schema
from onlooker.media import image
from onlooker.media.picture import Still
from onlooker.types import Pose
from onlooker.vision.pose import rotation

POSES = 24
MAX_DEGREES = 60
MAX_SOURCE_YAW = 12
"""A photograph of a face that is turned further shows too little of its other side."""
MAX_ERROR_DEGREES = 4.0


def poses(seed: int) -> Iterator[Pose]:
    """Yield the poses to render."""
    chance = random.Random(seed)
    for n in range(POSES):
        roll, yaw, pitch = (chance.uniform(-MAX_DEGREES, MAX_DEGREES) for _ in range(3))
        if n % 6 == 0:
            yield Pose(roll=0, yaw=yaw, pitch=0)
        elif n % 6 == 1:
            yield Pose(roll=0, yaw=0, pitch=pitch)
        else:
            yield Pose(roll=roll, yaw=yaw, pitch=pitch * math.cos(math.radians(yaw)))


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", type=Path)
    parser.add_argument("--heads", type=int, default=30)
    asked = parser.parse_args()
    own = Path(skimage.data.__file__).parent / "astronaut.png"
    paths = [own] if asked.images is None else sorted(asked.images.iterdir())
    find, fit = FaceFinder(schema.Faces(detection="thorough")), Mesher()
    errors: list[list[float]] = []
    heads = rendered = 0
    for seed, path in enumerate(paths):
        photograph = image.read(path)
        [one, *_] = [*fit(photograph, find(photograph)[:1]), None]
        if one is None or one.mesh is None or not one.fits:
            continue
        if abs(one.face.pose.yaw) > MAX_SOURCE_YAW:
            continue
        turn = rotation(one.mesh.points, fit.whole._model.shape.mean)
        head = RenderedHead(photograph.bgr, one.mesh.points, turn)
        heads += 1
        for truth in poses(seed):
            picture = Still(head(truth)[0])
            rendered += 1
            for told in fit(picture, find(picture)[:1]):
                if told.fits:
                    pose = told.face.pose
                    off = (
                        pose.yaw - truth.yaw,
                        pose.pitch - truth.pitch,
                        math.remainder(pose.roll - truth.roll, 360),
                    )
                    errors.append([abs(each) for each in off])
        if heads == asked.heads:
            break
    mean, median = np.mean(errors, 0), np.median(errors, 0)
    print(f"{heads} heads, {rendered} images, {len(errors)} with a mesh that fits")
    for name, value, half in zip(("yaw", "pitch", "roll"), mean, median, strict=True):
        print(f"{name:6} mean error {value:.2f} degrees, median {half:.2f}")
    kept = bool((mean <= MAX_ERROR_DEGREES).all())
    print("kept" if kept else "BROKEN")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
