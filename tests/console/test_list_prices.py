"""Prices: the tiers of a group, by hand."""

import pytest

from onlooker.api.rekognition.operations import OPERATIONS
from onlooker.console.list_prices import GROUPS, image_prices, tiered


@pytest.mark.parametrize(
    ("number", "price"),
    [
        (0, 0),
        (1, 0.001),
        (1_000_000, 1000),
        (1_500_000, 1400),
        (5_000_000, 4200),
        (35_000_000, 22_200),
        (40_000_000, 22_200),  # nobody has confirmed what the last five million cost
    ],
)
def test_tiers(number: int, price: float) -> None:
    assert tiered(number) == pytest.approx(price)


def test_a_group_shares_its_tiers() -> None:
    calls = {"DetectFaces": 900_000, "DetectText": 600_000, "ListFaces": 10, "IndexFaces": 1000}
    prices = image_prices(calls)
    assert prices["DetectFaces"] + prices["DetectText"] == pytest.approx(1400)
    assert prices["DetectFaces"] == pytest.approx(1.5 * prices["DetectText"])
    assert prices["ListFaces"] == 0
    assert prices["IndexFaces"] == pytest.approx(1)


def test_only_operations_of_the_api_have_prices() -> None:
    assert set(OPERATIONS) >= GROUPS.keys()
