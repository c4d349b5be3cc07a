import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from onlooker.media.image import Planes, Still
from onlooker.vision.crops import crop

LINEAR, BLACK, REPEAT = cv2.INTER_LINEAR, cv2.BORDER_CONSTANT, cv2.BORDER_REPLICATE


def noise(height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(3).integers(0, 256, (height, width, 3), np.uint8)


def test_whole_pixels_are_copied() -> None:
    picture = noise(40, 60)
    matrix = np.array([[1.0, 0, -10], [0, 1, -5]])
    cut = crop(Still(picture), matrix, 20, 30, LINEAR, BLACK)
    np.testing.assert_array_equal(cut, picture[5:35, 10:30])


def test_a_quarter_turn_is_a_quarter_turn() -> None:
    picture = noise(40, 60)
    # The picture's left edge, from its foot upwards, becomes the crop's upper edge.
    matrix = np.array([[0.0, -1, 40], [1, 0, 0]])
    cut = crop(Still(picture), matrix, 40, 60, LINEAR, BLACK)
    np.testing.assert_array_equal(cut, np.rot90(picture, -1))


def test_shrinking_takes_the_mean_of_what_a_pixel_covers() -> None:
    picture = noise(40, 60)
    matrix = np.array([[0.25, 0, 0], [0, 0.25, 0]])
    cut = crop(Still(picture), matrix, 15, 10, LINEAR, BLACK)
    means = picture.reshape(10, 4, 15, 4, 3).mean((1, 3))
    assert np.abs(cut - means).max() <= 1


def test_outside_the_picture_is_what_the_border_says() -> None:
    picture = np.full((20, 20, 3), 200, np.uint8)
    matrix = np.array([[1.0, 0, 10], [0, 1, 0]])
    assert crop(Still(picture), matrix, 20, 20, LINEAR, BLACK)[:, :9].max() == 0
    assert crop(Still(picture), matrix, 20, 20, LINEAR, REPEAT).min() == 200
    with pytest.raises(ValueError, match="nothing of"):
        crop(Still(picture), np.array([[1.0, 0, 60], [0, 1, 0]]), 20, 20, LINEAR, BLACK)


def test_planes_and_pixels_give_the_same_crop() -> None:
    smooth = cv2.resize(noise(4, 6), (120, 80), interpolation=cv2.INTER_CUBIC)
    i420 = np.asarray(cv2.cvtColor(smooth, cv2.COLOR_BGR2YUV_I420), np.uint8)
    u, v = i420[80:].reshape(2, 40, 60)
    planes = Planes(i420[:80], u, v)
    whole, _ = planes.region(0, 0, 120, 80)
    matrix = np.asarray(cv2.getRotationMatrix2D((61, 33), 30, 1.3), np.float64)
    near = crop(planes, matrix, 40, 40, LINEAR, BLACK).astype(int)
    same = crop(Still(whole), matrix, 40, 40, LINEAR, BLACK).astype(int)
    assert np.abs(near - same).max() <= 1
