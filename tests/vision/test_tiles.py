from hypothesis import given
from hypothesis import strategies as st

from onlooker.types import Box
from onlooker.vision.tiles import parts, windows

sides = st.floats(-20, 220)
boxes = st.tuples(sides, sides, st.floats(1, 60), st.floats(1, 60)).map(
    lambda each: (each[0], each[1], each[0] + each[2], each[1] + each[3])
)


def inside(a: Box, b: Box) -> bool:
    return b[0] <= a[0] and b[1] <= a[1] and a[2] <= b[2] and a[3] <= b[3]


@given(st.lists(boxes, max_size=12), st.floats(0, 30))
def test_every_box_is_in_a_window_and_no_two_windows_overlap(
    given: list[Box], margin: float
) -> None:
    found = windows(given, margin, 200, 150)
    for x1, y1, x2, y2 in given:
        seen = max(0, x1), max(0, y1), min(200, x2), min(150, y2)
        if seen[0] < seen[2] and seen[1] < seen[3]:
            assert any(inside(seen, window) for window in found)
    for number, one in enumerate(found):
        assert inside(one, (0, 0, 200, 150))
        assert one[0] < one[2]
        assert one[1] < one[3]
        for other in found[number + 1 :]:
            apart = one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1]
            assert apart or other[3] <= one[1]


def test_windows_by_hand() -> None:
    assert windows([], 5, 100, 100) == []
    assert windows([(10, 10, 20, 20), (60, 60, 70, 70)], 5, 100, 100) == [
        (5, 5, 25, 25),
        (55, 55, 75, 75),
    ]
    # The third one overlaps both.
    chain = [(10, 10, 20, 20), (60, 60, 70, 70), (22, 22, 58, 58)]
    assert windows(chain, 5, 100, 100) == [(5, 5, 75, 75)]
    assert windows([(200, 10, 220, 20)], 5, 100, 100) == []


@given(st.integers(1, 5000), st.integers(1, 1500))
def test_parts_follow_one_another_and_are_nearly_equal(length: int, most: int) -> None:
    found = parts(length, most)
    assert [begin for begin, _ in found] == [0, *(end for _, end in found[:-1])]
    assert found[-1][1] == length
    sizes = [end - begin for begin, end in found]
    assert max(sizes) <= most
    assert max(sizes) - min(sizes) <= 1
    assert len(found) == -(-length // most)
