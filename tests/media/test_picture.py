"""Small versions, regions and luma of images, the same from BGR and from planes."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.images import corners, near

from onlooker.media.picture import MAX_DISTORTION, Pixels, Planes, Still, to_i420


def planes_of(width: int, height: int, seed: int = 0) -> Planes:
    """Return planes of smooth brightness and colour, without clipped colours."""
    rng = np.random.default_rng(seed)

    def smooth(rows: int, columns: int, low: int, high: int) -> Pixels:
        few = rng.uniform(low, high, (4, 4)).astype(np.float32)
        return cv2.resize(few, (columns, rows), interpolation=cv2.INTER_LINEAR).astype(np.uint8)

    half = (height + 1) // 2, (width + 1) // 2
    return Planes(smooth(height, width, 60, 190), smooth(*half, 110, 146), smooth(*half, 110, 146))


def full(planes: Planes) -> Pixels:
    """Convert by ITU-R BT.601 as it is written; each chroma sample covers 2 x 2 pixels."""
    height, width = planes.height, planes.width
    y = (planes.y.astype(float) - 16) * 255 / 219
    u, v = (
        np.kron(plane.astype(float) - 128, np.ones((2, 2)))[:height, :width] * 255 / 224
        for plane in (planes.u, planes.v)
    )
    blue, red = y + 1.772 * u, y + 1.402 * v
    green = y - 0.344136 * u - 0.714136 * v
    return np.stack((blue, green, red), axis=2).round().clip(0, 255).astype(np.uint8)


sides = st.integers(1, 40)


@given(sides, sides, st.data())
def test_a_region_is_a_part_of_the_image(width: int, height: int, data: st.DataObject) -> None:
    planes = planes_of(width, height)
    x1, y1 = data.draw(st.integers(-3, width - 1)), data.draw(st.integers(-3, height - 1))
    x2 = data.draw(st.integers(max(x1, 0) + 1, width + 3))
    y2 = data.draw(st.integers(max(y1, 0) + 1, height + 3))
    for picture, whole in ((planes, full(planes)), (Still(full(planes)), full(planes))):
        pixels, (left, top) = picture.region(x1, y1, x2, y2)
        rows, columns = pixels.shape[:2]
        assert near(pixels, whole[top : top + rows, left : left + columns], by=3)
        assert max(0, x1) - 1 <= left <= max(0, x1)
        assert max(0, y1) - 1 <= top <= max(0, y1)
        assert (left + columns, top + rows) == (min(x2, width), min(y2, height))


@given(sides, sides, st.integers(1, 3), st.data())
def test_a_halved_region_has_the_means_of_its_blocks(
    width: int, height: int, halvings: int, data: st.DataObject
) -> None:
    planes, block = planes_of(width, height), 2**halvings
    y, u, v = (
        np.asarray(cv2.GaussianBlur(plane, (0, 0), 9), np.uint8)
        for plane in (planes.y, planes.u, planes.v)
    )
    smooth = Planes(y, u, v)
    x1, y1 = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    for picture in (smooth, Still(full(smooth))):
        whole, origin = picture.region(x1, y1, width, height)
        halved, same = picture.region(x1, y1, width, height, halvings)
        assert same == origin
        more = [-side % block for side in whole.shape[:2]]
        padded = np.pad(whole, ((0, more[0]), (0, more[1]), (0, 0)), "edge").astype(float)
        rows, columns = halved.shape[:2]
        means = padded.reshape(rows, block, columns, block, 3).mean((1, 3))
        assert near(halved, means.astype(np.uint8), by=4)


@given(sides, sides, st.data())
def test_luma_is_the_brightness_of_a_region(width: int, height: int, data: st.DataObject) -> None:
    planes = planes_of(width, height)
    grey = Planes(planes.y, planes.u * 0 + 128, planes.v * 0 + 128)
    x1, y1 = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    x2, y2 = data.draw(st.integers(x1 + 1, width + 2)), data.draw(st.integers(y1 + 1, height + 2))
    for picture in (grey, Still(full(grey))):
        assert near(picture.luma(x1, y1, x2, y2), full(grey)[y1:y2, x1:x2, 0], by=1)


@given(sides, sides, st.integers(1, 45))
def test_small_has_the_shape_of_the_image(width: int, height: int, long_side: int) -> None:
    planes = planes_of(width, height)
    for picture in (planes, Still(full(planes))):
        small = picture.small(long_side)
        scale = min(1.0, long_side / max(width, height))
        assert small.dtype == np.uint8
        assert max(small.shape[:2]) <= long_side
        assert abs(small.shape[0] - height * scale) <= 0.5 or small.shape[0] == 1
        assert abs(small.shape[1] - width * scale) <= 0.5 or small.shape[1] == 1


@given(sides, sides, st.integers(1, 45), st.integers(1, 9))
def test_small_has_round_sides_if_that_distorts_little(
    width: int, height: int, long_side: int, multiple: int
) -> None:
    for picture in (planes_of(width, height), Still(full(planes_of(width, height)))):
        sides = picture.small(long_side, multiple).shape[1::-1]
        scale = min(1.0, long_side / max(width, height))
        if scale == 1.0:
            assert sides == (width, height)
        for side, exact in zip(sides, (width * scale, height * scale), strict=True):
            assert side <= long_side
            round_one = side % multiple == 0 and abs(side - exact) <= MAX_DISTORTION * exact
            assert round_one or side == max(1, round(exact))
    assert planes_of(1280, 720).small(640, 32).shape == (352, 640, 3)


@pytest.mark.parametrize(("width", "height"), [(640, 360), (641, 361), (639, 480), (201, 801)])
@pytest.mark.parametrize("long_side", [320, 321, 200, 97])
def test_small_has_the_colours_of_the_image(width: int, height: int, long_side: int) -> None:
    planes = planes_of(width, height)
    small = planes.small(long_side)
    expected = cv2.resize(full(planes), small.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert near(small, expected.astype(np.uint8), by=8)


def test_a_small_checkerboard_is_grey_not_noise() -> None:
    board = (np.indices((720, 1280)).sum(axis=0) % 2 * 219 + 16).astype(np.uint8)
    grey = np.full((360, 640), 128, np.uint8)
    small = Planes(board, grey, grey).small(400)
    assert near(small, np.full_like(small, 130), by=4)


def test_rows_may_be_padded() -> None:
    padded = np.zeros((24, 64), np.uint8)
    padded[:, 40:] = 255
    grey = np.full((12, 32), 128, np.uint8)
    planes = Planes(padded[:, :40], grey[:, :20], grey[:, :20])
    assert planes.small(40).max() == 0


def test_a_region_outside_the_image_is_refused() -> None:
    for picture in (planes_of(40, 24), Still(corners())):
        for box in ((48, 0, 60, 10), (-5, 0, 0, 10), (10, 10, 10, 12)):
            with pytest.raises(ValueError, match="outside the"):
                picture.region(*box)


def test_arrays_of_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="uint8"):
        Still(np.zeros((4, 4, 3), np.float32))
    with pytest.raises(ValueError, match="uint8"):
        Still(np.zeros((4, 4), np.uint8))
    with pytest.raises(ValueError, match="do not match"):
        Planes(np.zeros((4, 4), np.uint8), np.zeros((2, 2), np.uint8), np.zeros((2, 1), np.uint8))
    with pytest.raises(ValueError, match="0 pixels"):
        Still(corners()).small(0)


def test_small_images_are_cached_by_size() -> None:
    planes = planes_of(40, 30)
    large, small = planes.small(20), planes.small(10)
    assert (large.shape, small.shape) == ((15, 20, 3), (8, 10, 3))
    assert planes.small(20) is large
    np.testing.assert_array_equal(planes_of(40, 30).small(10), small)


@given(sides, sides)
def test_planes_of_a_still_have_its_colours(width: int, height: int) -> None:
    whole = full(planes_of(width, height))
    planes = Planes.of(Still(whole))
    assert (planes.width, planes.height) == (width, height)
    assert near(full(planes)[..., 1], whole[..., 1], by=24)  # chroma is shared by four pixels
    assert near(planes.luma(0, 0, width, height), Still(whole).luma(0, 0, width, height), by=4)


def test_i420_repeats_the_last_row_and_column_of_odd_sides() -> None:
    bgr = np.random.default_rng(3).integers(0, 256, (5, 7, 3), np.uint8)
    even = np.pad(bgr, ((0, 1), (0, 1), (0, 0)), "edge")
    np.testing.assert_array_equal(to_i420(bgr), to_i420(even))
    assert to_i420(bgr).shape == (9, 8)
