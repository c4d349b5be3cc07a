import cv2
import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from onlooker.media.picture import Planes, Still
from onlooker.models.card import card
from onlooker.vision.crops import Square, batch, crop, padded

LINEAR, BLACK, REPEAT = cv2.INTER_LINEAR, cv2.BORDER_CONSTANT, cv2.BORDER_REPLICATE


def noise(height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(3).integers(0, 256, (height, width, 3), np.uint8)


def unbiased(
    picture: NDArray[np.float64], matrix: NDArray[np.float64], width: int, height: int
) -> NDArray[np.float64]:
    """The crop of an image. OpenCV rounds means of a half up, and so those of a negative down."""
    positive = picture.round().astype(np.uint8)
    one, other = (
        crop(Still(each), matrix, width, height, cv2.INTER_CUBIC, REPEAT).astype(float)
        for each in (positive, 255 - positive)
    )
    return np.asarray((one + 255 - other) / 2, np.float64)


def test_whole_pixels_are_copied() -> None:
    picture = noise(40, 60)
    matrix = np.array([[1.0, 0, -10], [0, 1, -5]])
    cut = crop(Still(picture), matrix, 20, 30, LINEAR, BLACK)
    np.testing.assert_array_equal(cut, picture[5:35, 10:30])


def test_a_quarter_turn_is_a_quarter_turn() -> None:
    picture = noise(40, 60)
    # The image's left edge, from its foot upwards, becomes the crop's upper edge.
    matrix = np.array([[0.0, -1, 40], [1, 0, 0]])
    cut = crop(Still(picture), matrix, 40, 60, LINEAR, BLACK)
    np.testing.assert_array_equal(cut, np.rot90(picture, -1))


@pytest.mark.parametrize("covered", [2, 3, 4, 6, 12])
def test_shrinking_takes_the_mean_of_what_a_pixel_covers(covered: int) -> None:
    picture = noise(10 * covered, 15 * covered)
    matrix = np.array([[1 / covered, 0, 0], [0, 1 / covered, 0]])
    cut = crop(Still(picture), matrix, 15, 10, LINEAR, BLACK)
    means = picture.reshape(10, covered, 15, covered, 3).mean((1, 3))
    assert np.abs(cut - means).max() <= 1


@pytest.mark.parametrize("covered", [0.4, 1.6, 2.3, 5.5, 9.7, 13.2])
def test_a_crop_shows_the_same_place_at_any_size(covered: float) -> None:
    rows, columns = np.mgrid[:700, :900] + 0.5
    slope = np.stack([columns / 4, rows / 4, (rows + columns) / 8], axis=2)
    matrix = np.asarray(cv2.getRotationMatrix2D((431.3, 377.7), 20, 1 / covered), np.float64)
    matrix[:, 2] += (18 - 431.3, 14 - 377.7)  # the crop's middle shows what is there
    cut = unbiased(slope, matrix, 36, 28)
    there = np.mgrid[:28, :36][::-1].reshape(2, -1) + 0.5
    x, y = np.linalg.inv(matrix[:, :2]) @ (there - matrix[:, 2:])
    shown = np.stack([x / 4, y / 4, (x + y) / 8], axis=1).reshape(28, 36, 3)
    # A step is four pixels of the image, whatever the crop's size.
    assert np.abs(cut - shown).max() <= 1


@pytest.mark.parametrize("covered", [5.5, 9.7, 13.2])
def test_a_crop_over_the_edge_shows_the_same_place(covered: float) -> None:
    """Where what it is cut from ends in the middle of a block."""
    rows, columns = np.mgrid[:263, :341] + 0.5
    slope = np.stack([columns * 0.7, rows * 0.9, (rows + columns) * 0.4], axis=2)
    matrix = np.asarray(cv2.getRotationMatrix2D((300.3, 230.7), 8, 1 / covered), np.float64)
    matrix[:, 2] += (18 - 300.3, 14 - 230.7)
    cut = unbiased(slope, matrix, 36, 28)
    there = np.mgrid[:28, :36][::-1].reshape(2, -1) + 0.5
    x, y = np.linalg.inv(matrix[:, :2]) @ (there - matrix[:, 2:])
    shown = np.stack([x * 0.7, y * 0.9, (x + y) * 0.4], axis=1)
    edge = 2 * covered
    inside = (x > edge) & (y > edge) & (x < 341 - edge) & (y < 263 - edge)
    assert 200 < inside.sum() < len(x)
    assert np.abs(cut.reshape(-1, 3) - shown)[inside].max() <= 1.25


@pytest.mark.parametrize("covered", [1, 5, 8])
@pytest.mark.parametrize("shift", [0.0, 0.25, 0.5])
def test_at_its_edge_a_crop_shows_what_a_larger_one_does(covered: int, shift: float) -> None:
    picture = Still(noise(80 * covered, 80 * covered))
    matrix = np.array([[1 / covered, 0, shift - 30], [0, 1 / covered, shift - 30]])
    small = crop(picture, matrix, 20, 20, cv2.INTER_CUBIC, BLACK)
    further = matrix + np.array([[0, 0, 8], [0, 0, 8]])
    large = crop(picture, further, 36, 36, cv2.INTER_CUBIC, BLACK)
    np.testing.assert_array_equal(small, large[8:28, 8:28])


def test_outside_the_image_is_the_border() -> None:
    picture = np.full((20, 20, 3), 200, np.uint8)
    matrix = np.array([[1.0, 0, 10], [0, 1, 0]])
    assert crop(Still(picture), matrix, 20, 20, LINEAR, BLACK)[:, :9].max() == 0
    assert crop(Still(picture), matrix, 20, 20, LINEAR, REPEAT).min() == 200
    with pytest.raises(ValueError, match="outside the 20 x 20 image"):
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


@pytest.mark.parametrize("covered", [0.15, 0.4, 1, 1.3, 1.6, 3.2, 9])
@pytest.mark.parametrize("shift", [0.0, 0.3, 0.5, 0.9])
def test_roughly_is_within_a_pixel_of_the_crop(covered: float, shift: float) -> None:
    rows, columns = np.mgrid[:300, :500]
    picture = np.stack([columns / 2, rows / 2, (rows + columns) / 4], axis=2).astype(np.uint8)
    matrix = np.array([[1 / covered, 0, shift - 9.3], [0, 1 / covered, shift - 8.1]])
    exact, rough = (
        crop(Still(picture), matrix, 30, 20, cv2.INTER_CUBIC, REPEAT, roughly=roughly).astype(int)
        for roughly in (False, True)
    )
    # A pixel of the crop covers this many of the image, each of which is half a step brighter.
    assert np.abs(rough - exact).max() <= 1 + covered / 2


def test_roughly_a_line_of_text_is_not_warped(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is long, and leans by less than can be seen."""
    rows, columns = np.mgrid[:80, :700]
    picture = Still(np.stack([columns / 3, rows * 2, columns / 5], axis=2).astype(np.uint8))
    matrix = np.array([[0.8, 0.0004, -40.3], [-0.0003, 0.8, -8.4]])
    exact = crop(picture, matrix, 500, 48, cv2.INTER_CUBIC, REPEAT)
    monkeypatch.delattr(cv2, "warpAffine")
    rough = crop(picture, matrix, 500, 48, cv2.INTER_CUBIC, REPEAT, roughly=True)
    # A pixel of the crop is 1.25 of the image, each of which is up to two steps brighter.
    apart = np.abs(rough.astype(int) - exact)
    assert 0 < apart.max() <= 1 + 1.2 * 1.25 * 2


@pytest.mark.parametrize("turn", [2.0, 90.0, 180.0, 270.0])
def test_roughly_changes_nothing_where_a_crop_is_not_straight(turn: float) -> None:
    picture = Still(noise(200, 200))
    matrix = np.asarray(cv2.getRotationMatrix2D((100.2, 99.7), turn, 1), np.float64)
    matrix[:, 2] -= 70
    exact, rough = (
        crop(picture, matrix, 60, 60, cv2.INTER_CUBIC, REPEAT, roughly=roughly)
        for roughly in (False, True)
    )
    np.testing.assert_array_equal(rough, exact)


def test_roughly_is_exact_at_the_edge_of_the_image() -> None:
    picture = Still(noise(40, 60))
    for right, down in ((-5, 3), (3, -5), (35, 0), (0, 25)):
        matrix = np.array([[1.0, 0, -right], [0, 1, -down]])
        exact, rough = (
            crop(picture, matrix, 30, 20, cv2.INTER_CUBIC, REPEAT, roughly=roughly)
            for roughly in (False, True)
        )
        np.testing.assert_array_equal(rough, exact)


def test_a_batch_is_its_crops() -> None:
    picture = Still(noise(300, 300))
    matrices = [np.array([[1.0, 0, -left], [0, 1, -20]]) for left in (0, 100, 250)]
    model = card("mobilefacenet")
    crops = batch([picture] * 3, matrices, model, REPEAT)
    assert crops.shape == (3, *model.shape, 3)
    for matrix, found in zip(matrices, crops, strict=True):
        np.testing.assert_array_equal(found, crop(picture, matrix, 112, 112, LINEAR, REPEAT))


@pytest.mark.parametrize(("colour", "mean"), [("BGR", (10, 20, 30)), ("RGB", (30, 20, 10))])
def test_the_padding_is_the_mean(colour: str, mean: tuple[int, ...]) -> None:
    model = msgspec.structs.replace(
        card("yunet"), colour=colour, mean=(10.2, 19.9, 30.4), multiple=32
    )
    # A window of a larger image: its rows do not touch each other.
    picture = noise(80, 90)[3:60, 5:75]
    found = padded(picture, model)
    assert found.shape == (64, 96, 3)
    np.testing.assert_array_equal(found[:57, :70], picture)
    assert (found[57:] == mean).all()
    assert (found[:, 70:] == mean).all()
    wider = padded(picture, model, width=128)
    assert wider.shape == (64, 128, 3)
    np.testing.assert_array_equal(wider[:, :96], found)
    whole = noise(64, 32)
    assert padded(whole, model) is whole


def test_a_square_is_cut_upright_and_whole() -> None:
    square = Square(x=50, y=80, side=40, angle=np.pi / 2)
    matrix = square.matrix(20)
    np.testing.assert_allclose(matrix @ [50, 80, 1], [10, 10])
    # What leans clockwise by a quarter has its top to the right.
    np.testing.assert_allclose(matrix @ [70, 80, 1], [10, 0], atol=1e-9)
