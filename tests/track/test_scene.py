"""Cuts."""

import numpy as np
import pytest

from onlooker.media.picture import Still
from onlooker.stream.stage import NoPicture
from onlooker.track.scene import Scene

ROWS = np.linspace(0, 255, 360, dtype=np.uint8)[:, None, None]
IMAGE = np.ascontiguousarray(np.broadcast_to(ROWS, (360, 640, 3)))


@pytest.mark.parametrize(
    ("other", "cut"),
    [
        (IMAGE[::-1], True),
        (IMAGE // 2, False),  # darker
        (np.roll(IMAGE, 20, axis=0), False),  # moved
        (IMAGE, False),
    ],
)
def test_a_cut_is_seen_in_the_image(other: np.ndarray, cut: bool) -> None:
    scene = Scene()
    assert not scene.is_cut(Still(IMAGE))
    assert scene.is_cut(Still(np.ascontiguousarray(other))) is cut


def test_without_an_image_there_is_no_cut() -> None:
    scene = Scene()
    scene.is_cut(Still(IMAGE))
    assert not scene.is_cut(NoPicture())
    assert scene.is_cut(Still(np.ascontiguousarray(IMAGE[::-1])))
