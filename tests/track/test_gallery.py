import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onlooker.track.gallery import APART_SECONDS, MAX_EXEMPLARS, Gallery, weight
from onlooker.types import Face, Pose, Quality


def data(*values: float) -> bytes:
    return np.array(values, np.float32).tobytes()


def face(width: float = 80, sharpness: float = 100, yaw: float = 0, pitch: float = 0) -> Face:
    return Face(
        box=(0, 0, width, width),
        score=1.0,
        points=((0, 0),) * 5,
        pose=Pose(roll=0, yaw=yaw, pitch=pitch),
        quality=Quality(brightness=50, sharpness=sharpness),
    )


@given(st.lists(st.floats(0, 1, width=16), max_size=20))
def test_the_heaviest_of_frames_far_apart_are_kept(weights: list[float]) -> None:
    gallery = Gallery()
    for number, each in enumerate(weights):
        gallery.add(data(number), each, number * 2 * APART_SECONDS)
    kept = [each.weight for each in gallery.exemplars]
    assert kept == sorted(weights, reverse=True)[:MAX_EXEMPLARS]


def test_of_frames_close_together_only_the_best_is_kept() -> None:
    gallery = Gallery()
    assert gallery.add(data(1), 0.5, 0.0)
    assert not gallery.add(data(2), 0.4, 0.1)
    assert gallery.add(data(3), 0.6, 0.2)
    assert [each.vector for each in gallery.exemplars] == [data(3)]


def test_the_mean_is_by_weight_and_as_long_as_the_vectors() -> None:
    gallery = Gallery()
    gallery.add(data(2, 0), 0.9, 0.0)
    gallery.add(data(0, 2), 0.3, 1.0)
    mean = gallery.mean()
    assert mean is not None
    assert np.linalg.norm(mean) == pytest.approx(2)
    assert mean[0] == pytest.approx(3 * mean[1])


def test_an_empty_gallery_has_no_mean() -> None:
    assert Gallery().mean() is None
    assert Gallery().weight == 0


def test_opposite_vectors_have_a_mean_that_is_a_number() -> None:
    gallery = Gallery()
    gallery.add(data(1, 0), 0.5, 0.0)
    gallery.add(data(-1, 0), 0.5, 1.0)
    mean = gallery.mean()
    assert mean is not None
    assert np.isfinite(mean).all()


def test_small_blurred_and_turned_faces_weigh_less() -> None:
    best = weight(face())
    assert best == pytest.approx(1)
    assert weight(face(width=400)) == pytest.approx(best)
    for less in (face(width=40), face(sharpness=75.35534), face(yaw=60), face(pitch=-60)):
        assert weight(less) == pytest.approx(best / 2)
    assert 0 < weight(face(yaw=120)) < weight(face(yaw=60))
