"""Slots of a ring: used again once they are released, and only then."""

from pathlib import Path

import numpy as np

from onlooker.config.schema import SourceConfig
from onlooker.media.picture import Planes
from onlooker.stream.feeds import Feed
from onlooker.stream.ring_slots import RingSlots, ring_bytes


def image(width: int = 4, height: int = 4) -> Planes:
    half = np.zeros((height // 2, width // 2), np.uint8)
    return Planes(np.zeros((height, width), np.uint8), half, half)


def test_a_slot_is_used_again_once_it_is_released(tmp_path: Path) -> None:
    slots = RingSlots(f"{tmp_path}/door", 2)
    first, second = slots.write(image()), slots.write(image())
    assert first is not None
    assert second is not None
    assert first.slot != second.slot
    assert slots.write(image()) is None, "both are taken"
    slots.release(first)
    again = slots.write(image())
    assert again is not None
    assert again.slot == first.slot
    assert again.generation != first.generation


def test_a_larger_image_gets_a_ring_of_its_own(tmp_path: Path) -> None:
    slots = RingSlots(f"{tmp_path}/door", 1)
    small, large = slots.write(image()), slots.write(image(8, 6))
    assert small is not None
    assert large is not None
    assert (small.ring, large.ring) == (f"{tmp_path}/door.4x4.ring", f"{tmp_path}/door.8x6.ring")
    slots.release(small)
    assert slots.write(image()) is None, "a slot of the smaller ring is of no use"
    slots.release(large)
    assert slots.write(image()) is not None, "the larger ring takes smaller images too"


def test_rings_are_reckoned_by_the_largest_videos() -> None:
    source = SourceConfig(url="a.mp4")
    feeds = [Feed(stream="a", source=source, width=2, height=2 * n) for n in (1, 3, 2)]
    assert ring_bytes(feeds, window=10, at_once=2) == 10 * (18 + 12)
