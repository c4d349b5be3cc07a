"""Amazon Rekognition's list prices, for comparison.

For the region us-east-1, in US dollars, without the free tier, taxes and discounts; collected on
PRICE_DATE from pages that quote Amazon's. What no such page confirmed has no price here, and
UNPRICED names it: https://aws.amazon.com/rekognition/pricing/ has it.
"""

from collections.abc import Mapping, Sequence

PRICE_DATE = "2026-11-27"
REGION = "us-east-1"
UNPRICED = "images beyond 35 million a month, and minutes of streams"

Tiers = Sequence[tuple[float, float]]
"""The number of images of a month up to which a price holds, and the price of one."""

TIERS: Tiers = ((1e6, 0.001), (5e6, 0.0008), (35e6, 0.0006))
"""Of all operations of a group together."""

GROUPS: Mapping[str, int] = {
    "AssociateFaces": 1,
    "CompareFaces": 1,
    "DisassociateFaces": 1,
    "IndexFaces": 1,
    "SearchFaces": 1,
    "SearchFacesByImage": 1,
    "SearchUsers": 1,
    "SearchUsersByImage": 1,
    "DetectFaces": 2,
    "DetectText": 2,
}
"""The groups of the image operations that cost something; the others are free."""

VIDEO_MINUTE: Mapping[str, float] = {
    "FaceDetection": 0.10,
    "FaceSearch": 0.10,
    "PersonTracking": 0.10,
    "TextDetection": 0.10,
}
"""A minute of stored video, by the kind of the job."""
FACE_MONTH = 0.00001
"""A stored face, for a month."""


def tiered(number: float) -> float:
    """Return the price of that many images of one month; those beyond the last tier have none."""
    price, start = 0.0, 0.0
    for end, each in TIERS:
        price += max(0.0, min(number, end) - start) * each
        start = end
    return price


def image_prices(calls: Mapping[str, int]) -> dict[str, float]:
    """Return the price of each operation's calls in a month; 0 for those that are free.

    A group's price is shared among its operations by their calls.
    """
    prices = dict.fromkeys(calls, 0.0)
    for group in (1, 2):
        own = {name: number for name, number in calls.items() if GROUPS.get(name) == group}
        total = sum(own.values())
        for name, number in own.items():
            prices[name] = tiered(total) * number / total if total else 0.0
    return prices
