import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onlooker.vision import pixels

MEAN, SCALE = (103.53, 116.28, 123.675), (0.0174, 0.0175, 0.0171)


@given(
    st.integers(0, 2**32 - 1),
    st.integers(0, 9),
    st.integers(0, 70),
    st.integers(0, 3),
    st.integers(0, 40),
    st.booleans(),
)
def test_both_layouts_are_the_arithmetic(
    seed: int, height: int, width: int, below: int, right: int, swap: bool
) -> None:
    rng = np.random.default_rng(seed)
    # A window of a larger picture: its rows do not touch each other.
    picture = rng.integers(0, 256, (height + 2, width + 5, 3), np.uint8)[1 : height + 1, 2:][
        :, :width
    ]
    expected = np.zeros((height + below, width + right, 3), np.float32)
    turned = picture[:, :, ::-1] if swap else picture
    expected[:height, :width] = (turned - np.array(MEAN, np.float32)) * np.array(SCALE, np.float32)

    planes = np.full((3, *expected.shape[:2]), np.nan, np.float32)
    pixels.to_planes(picture, planes, MEAN, SCALE, swap=swap)
    np.testing.assert_allclose(planes, expected.transpose(2, 0, 1), atol=1e-5)

    interleaved = np.full(expected.shape, np.nan, np.float32)
    pixels.to_pixels(picture, interleaved, MEAN, SCALE, swap=swap)
    np.testing.assert_allclose(interleaved, expected, atol=1e-5)


def test_what_does_not_fit_is_refused() -> None:
    picture = np.zeros((4, 6, 3), np.uint8)
    with pytest.raises(ValueError, match="6 x 4 pixels does not fit into 5 x 4"):
        pixels.to_planes(picture, np.zeros((3, 4, 5), np.float32), MEAN, SCALE)
    with pytest.raises(ValueError, match="6 x 4 pixels does not fit into 6 x 3"):
        pixels.to_pixels(picture, np.zeros((3, 6, 3), np.float32), MEAN, SCALE)
    with pytest.raises(ValueError, match="three channels"):
        pixels.to_planes(picture, np.zeros((4, 4, 6), np.float32), MEAN, SCALE)
    with pytest.raises(ValueError, match="scale must be three numbers"):
        pixels.to_planes(picture, np.zeros((3, 4, 6), np.float32), MEAN, (1.0,))
    with pytest.raises(ValueError, match="side by side"):
        pixels.to_planes(picture[:, :, ::-1], np.zeros((3, 4, 6), np.float32), MEAN, SCALE)
