"""Amazon Rekognition's list prices, for comparison.

For the region us-east-1, in US dollars, without the free tier, taxes and discounts; collected on
PRICE_DATE from pages that quote Amazon's. UNSURE names those that no such page confirmed: compare
https://aws.amazon.com/rekognition/pricing/ before you rely on them.
"""

from collections.abc import Mapping, Sequence
from math import inf

PRICE_DATE = "2026-11-27"
REGION = "us-east-1"
UNSURE = "the price of images beyond 35 million a month, and that of a stream's minute"

Tiers = Sequence[tuple[float, float]]
"""The number of images of a month up to which a price holds, and the price of one."""

GROUP_1: Tiers = ((1e6, 0.001), (5e6, 0.0008), (35e6, 0.0006), (inf, 0.0004))
GROUP_2: Tiers = ((1e6, 0.001), (5e6, 0.0008), (35e6, 0.0006), (inf, 0.00025))
"""The tiers are of all operations of a group together."""

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
"""Image operations that cost something; the others, such as ListFaces, are free."""

VIDEO_MINUTE: Mapping[str, float] = {
    "FaceDetection": 0.10,
    "FaceSearch": 0.10,
    "PersonTracking": 0.10,
    "TextDetection": 0.10,
}
"""A minute of stored video, by the kind of the job."""
STREAM_MINUTE = 0.12
"""A minute of a video stream that is searched for faces."""
FACE_MONTH = 0.00001
"""A stored face, for a month."""


def tiered(number: float, tiers: Tiers) -> float:
    """Return the price of that many images of one month."""
    price, start = 0.0, 0.0
    for end, each in tiers:
        price += max(0.0, min(number, end) - start) * each
        start = end
    return price


def image_prices(calls: Mapping[str, int]) -> dict[str, float]:
    """Return the price of each operation's calls in a month; 0 for those that are free.

    A group's price is shared among its operations by their calls.
    """
    prices = dict.fromkeys(calls, 0.0)
    for group, tiers in ((1, GROUP_1), (2, GROUP_2)):
        own = {name: number for name, number in calls.items() if GROUPS.get(name) == group}
        total = sum(own.values())
        for name, number in own.items():
            prices[name] = tiered(total, tiers) * number / total if total else 0.0
    return prices
