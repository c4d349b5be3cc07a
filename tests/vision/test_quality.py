"""Sharp and blurred, bright and dark."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray

from onlooker.media import image
from onlooker.media.picture import Still
from onlooker.vision.quality import quality


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
