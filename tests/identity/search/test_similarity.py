import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.vectors import at

from onlooker.identity.search.similarity import likeness, similarity
from onlooker.models.card import Calibration, space

COSINE = Calibration(metric="cosine", slope=21.69, midpoint=0.4821)
EUCLIDEAN = Calibration(metric="euclidean", slope=-33.85, midpoint=0.5148)


class TestSimilarity:
    @pytest.mark.parametrize(
        ("value", "calibration", "expected"),
        [
            (0.4821, COSINE, 50.0),
            (0.4821 + math.log(4) / 21.69, COSINE, 80.0),
            (0.4821 + math.log(99) / 21.69, COSINE, 99.0),
            (-1.0, COSINE, 0.0),
            (0.5148, EUCLIDEAN, 50.0),
            (0.5148 - math.log(4) / 33.85, EUCLIDEAN, 80.0),
            (1e9, EUCLIDEAN, 0.0),
        ],
    )
    def test_is_the_cards_curve(
        self, value: float, calibration: Calibration, expected: float
    ) -> None:
        assert similarity(value, calibration) == pytest.approx(expected, abs=1e-6)

    @pytest.mark.parametrize("value", [1.0, 1.0000001, 0.9999])
    def test_the_same_image_is_exactly_100(self, value: float) -> None:
        assert similarity(value, COSINE) == 100.0

    def test_same_vector_is_exactly_100(self) -> None:
        assert similarity(0.0, EUCLIDEAN) == 100.0

    @given(st.floats(-1, 1), st.floats(-1, 1))
    def test_grows_with_the_cosine(self, one: float, other: float) -> None:
        low, high = sorted((one, other))
        assert 0 <= similarity(low, COSINE) <= similarity(high, COSINE) <= 100


class TestLikeness:
    @pytest.mark.parametrize("name", ["mobilefacenet", "dlib_resnet"])
    def test_is_the_similarity_to_a_mean(self, name: str) -> None:
        alike = likeness(space(name))
        assert alike(at(1.0), at(1.0)) == 100.0
        assert alike(at(1.0), at(-1.0)) == pytest.approx(0, abs=1e-6)

    def test_a_mean_of_unit_vectors_is_shorter_than_they_are(self) -> None:
        mean = (at(1.0) + at(0.0)) / np.float32(2)
        expected = similarity(math.sqrt(0.5), space("mobilefacenet").calibration)
        assert likeness(space("mobilefacenet"))(at(1.0), mean) == pytest.approx(expected)
