"""Sharp and blurred, bright and dark."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray

from onlooker import config
from onlooker.media import image
from onlooker.media.image import Still
from onlooker.types import Face, Quality
from onlooker.vision.pose import pose
from onlooker.vision.quality import quality, recognisable


@pytest.fixture(scope="module")
def astronaut() -> NDArray[np.uint8]:
    return image.read(Path(skimage.data.__file__).parent / "astronaut.png").bgr


def test_blur_and_shade_lower_quality(astronaut: NDArray[np.uint8]) -> None:
    box = (178.0, 63.0, 268.0, 176.0)
    sharp = quality(Still(astronaut), box)
    values = [sharp.sharpness]
    for radius in (1, 2, 4):
        blurred = np.asarray(cv2.GaussianBlur(astronaut, (0, 0), radius), np.uint8)
        values.append(quality(Still(blurred), box).sharpness)
    assert values == sorted(values, reverse=True)
    assert values[0] > 90
    assert values[-1] < 40
    dark = quality(Still(astronaut // 2), box)
    assert dark.brightness == pytest.approx(sharp.brightness / 2, abs=1)
    black = quality(Still(np.zeros((90, 90, 3), np.uint8)), (-10, -10, 40, 40))
    assert (black.brightness, black.sharpness) == (0, 0)


@pytest.mark.parametrize(
    ("width", "sharpness", "answer"),
    [(32, 40, True), (31, 90, False), (200, 39, False), (200, 90, True)],
)
def test_small_and_blurred_faces_are_not_recognised(
    width: float, sharpness: float, answer: bool
) -> None:
    face = Face(
        box=(10, 10, 10 + width, 60),
        score=0.9,
        points=((0, 0), (1, 0), (0, 1), (0, 2), (1, 2)),
        pose=pose(((0, 0), (1, 0), (0, 1), (0, 2), (1, 2))),
        quality=Quality(brightness=50, sharpness=sharpness),
    )
    assert recognisable(face, config.Faces()) is answer
