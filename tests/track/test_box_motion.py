import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onlooker.track.box_motion import begin, overlap
from onlooker.types import Box


def moved(box: Box, x: float, y: float) -> Box:
    return box[0] + x, box[1] + y, box[2] + x, box[3] + y


BOX = (100.0, 50.0, 140.0, 100.0)


@pytest.mark.parametrize("fps", [5, 25])
def test_constant_velocity_is_predicted_whatever_the_frame_rate(fps: int) -> None:
    motion = begin(BOX, 10.0)
    for number in range(1, 2 * fps):
        time = number / fps
        motion = motion.seen(moved(BOX, 60 * time, -20 * time), 10 + time)
    predicted = motion.at(12.3).box()
    assert predicted == pytest.approx(moved(BOX, 60 * 2.3, -20 * 2.3), abs=1.5)


def test_dropped_frames_change_the_estimate_little() -> None:
    every = some = begin(BOX, 0.0)
    for number in range(1, 50):
        box = moved(BOX, number * 2.0, 0.0)
        every = every.seen(box, number / 25)
        if number % 5 not in (1, 2):
            some = some.seen(box, number / 25)
    assert some.at(2.2).box() == pytest.approx(every.at(2.2).box(), abs=1.0)


def test_a_hidden_box_coasts_for_a_second_and_then_rests() -> None:
    motion = begin(BOX, 0.0)
    for number in range(1, 26):
        motion = motion.seen(moved(BOX, number * 2.0, 0.0), number / 25)
    assert motion.at(2.0).place[0] == pytest.approx(motion.place[0] + 50, abs=3)
    assert motion.at(9.0).place == motion.at(2.0).place
    assert motion.at(9.0).spread() > motion.at(2.0).spread() > motion.spread()


def test_a_box_that_shrinks_does_not_vanish_while_it_is_hidden() -> None:
    motion = begin(BOX, 0.0)
    for number in range(1, 11):
        shrunk = (BOX[0] + number, BOX[1] + number, BOX[2] - number, BOX[3] - number)
        motion = motion.seen(shrunk, number / 25)
    x1, y1, x2, y2 = motion.at(2.0).box()
    assert min(x2 - x1, y2 - y1) >= 10


def test_time_that_stands_still_or_goes_back_predicts_the_box_itself() -> None:
    motion = begin(BOX, 5.0)
    assert motion.at(5.0).box() == motion.at(4.0).box() == BOX


sides = st.floats(0, 50)
boxes = st.tuples(sides, sides, sides, sides).map(
    lambda s: (s[0], s[1], s[0] + s[2] + 1, s[1] + s[3] + 1)
)


@given(boxes, boxes, st.floats(0, 5))
def test_overlap_is_intersection_over_union_of_the_grown_boxes(
    one: Box, other: Box, margin: float
) -> None:
    grown = [
        (box[0] - margin, box[1] - margin, box[2] + margin, box[3] + margin) for box in (one, other)
    ]
    width = max(0.0, min(b[2] for b in grown) - max(b[0] for b in grown))
    height = max(0.0, min(b[3] for b in grown) - max(b[1] for b in grown))
    areas = [(b[2] - b[0]) * (b[3] - b[1]) for b in grown]
    expected = width * height / (sum(areas) - width * height)
    assert math.isclose(overlap(one, other, margin), expected, abs_tol=1e-9)


def test_overlap_of_a_box_with_itself_is_1() -> None:
    assert overlap(BOX, BOX) == 1.0


def test_another_box_of_the_same_thing_has_its_velocity() -> None:
    motion = begin((0, 0, 20, 20), 0.0)
    for number in range(1, 9):
        motion = motion.seen(moved((0, 0, 20, 20), 10 * number, 0), number / 10)
    longer = motion.of((80, 0, 160, 20))
    assert longer.box() == (80, 0, 160, 20)
    assert longer.velocity == motion.velocity
    assert longer.velocity[0] > 50
