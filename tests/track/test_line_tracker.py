"""Lines of text over time, on drawn images."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onlooker.media.picture import Pixels
from onlooker.track.line_tracker import (
    LOOK_SIZE,
    LineSeen,
    LineTrack,
    LineTracker,
    Look,
    alike,
    seen,
)
from onlooker.types import Box, TextLine

BOX = (100.0, 100.0, 220.0, 132.0)
WIDE = (100.0, 100.0, 340.0, 132.0)


def drawn(text: str, x: int = 100, noise: int = 0) -> Pixels:
    """Return a grey image with a text, and noise of a seed of its own."""
    image = np.full((240, 640), 90, np.uint8)
    cv2.putText(image, text, (x, 128), cv2.FONT_HERSHEY_SIMPLEX, 1.2, 255, 2)
    return np.clip(image + np.random.default_rng(noise).normal(0, 3, image.shape), 0, 255).astype(
        np.uint8
    )


class Film:
    """A tracker that is shown images, and the readings of each."""

    def __init__(self, fps: float = 10) -> None:
        self.tracker = LineTracker(absence=10)
        self.fps = fps
        self.frames = 0

    def show(
        self, image: Pixels, *lines: tuple[str, Box] | tuple[str, Box, float]
    ) -> list[LineTrack]:
        self.frames += 1
        time = self.frames / self.fps
        self.tracker.end(time)

        def look_at(box: Box) -> Look:
            x1, y1, x2, y2 = map(int, box)
            part = image[max(0, y1) : y2, max(0, x1) : x2]
            return np.asarray(cv2.resize(part, LOOK_SIZE, interpolation=cv2.INTER_AREA), np.uint8)

        found = [
            LineSeen(line[1], line[0], line[2] if len(line) > 2 else 0.8, 32.0) for line in lines
        ]
        return self.tracker.update(time, found, look_at, lambda n: f"{self.frames}/{n}")


def moved(box: Box, x: float) -> Box:
    return box[0] + x, box[1], box[2] + x, box[3]


def test_a_still_sign_is_one_line_whatever_its_frames_read() -> None:
    film = Film()
    readings = ["YAMAHA", "VAMAHA", "YAMANA", "MLX", "YAMAHA"]
    ids = {
        film.show(drawn("YAMAHA", noise=n), (text, BOX))[0].id for n, text in enumerate(readings)
    }
    assert len(ids) == 1


def test_the_same_pixels_vote_once() -> None:
    film = Film()
    film.show(drawn("EXIT"), ("EXIT", BOX))
    for noise in range(20):
        [track] = film.show(drawn("EXIT", noise=noise), ("EXLT", BOX))
    assert (track.readings, track.ballot.text) == (1, "EXIT")


def test_a_sign_that_passes_by_is_voted_from_many_looks() -> None:
    film = Film()
    for number, text in enumerate(["EXII", "EXIT", "FXIT", "EXLT", "EXIT"]):
        x = 12 * number
        [track] = film.show(drawn("EXIT", 100 + x), (text, moved(BOX, x)))
    assert track.ballot.text == "EXIT"
    assert track.readings >= 4
    assert len(film.tracker.tracks) == 1


def test_a_caption_that_replaces_another_in_its_place_is_a_line_of_its_own() -> None:
    film = Film()
    for _ in range(5):
        [first] = film.show(drawn("Hello friend"), ("Hello friend", WIDE, 0.98))
    for _ in range(5):
        [second] = film.show(drawn("Hello dear"), ("Hello dear", WIDE, 0.98))
    assert first.id != second.id
    assert (first.ballot.text, second.ballot.text) == ("Hello friend", "Hello dear")
    assert first.last == 0.5
    assert second.first == 0.6


@pytest.mark.parametrize("sign", ["EXIT {}", "DOOR {} OPEN", "TRAIN TO ROME AT {}", "{}"])
@pytest.mark.parametrize("values", [(21, 22, 23), (1, 7, 4)])
def test_a_number_that_counts_is_a_line_for_each_value(
    sign: str, values: tuple[int, int, int]
) -> None:
    film = Film()
    ids = []
    for value in values:
        text = sign.format(value)
        (width, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 1.2, 2)
        for noise in range(5):
            [track] = film.show(
                drawn(text, noise=noise), (text, (100.0, 100.0, 100.0 + width, 132.0), 0.97)
            )
        ids.append(track.id)
        assert track.ballot.text == text
    assert len(set(ids)) == 3


def test_a_gap_in_which_nothing_changed_is_bridged_by_the_pixels() -> None:
    film = Film()
    [track] = film.show(drawn("EXIT"), ("EXIT", BOX))
    for noise in range(30):
        film.show(drawn("EXIT", noise=noise))
    assert track.last == pytest.approx(3.1)
    assert film.show(drawn("EXIT"), ("EXIT", BOX)) == [track]
    assert film.tracker.here() == [track]


def test_a_text_that_disappears_has_its_last_frame_as_its_end() -> None:
    film = Film()
    for _ in range(5):
        [track] = film.show(drawn("EXIT"), ("EXIT", BOX))
    for _ in range(11):
        film.show(drawn(""))
    assert track.last == pytest.approx(0.5)
    film.show(drawn(""))
    film.show(drawn(""))
    assert film.tracker.tracks == []


def test_a_line_behind_something_for_a_moment_is_the_same() -> None:
    film = Film()
    [track] = film.show(drawn("EXIT"), ("EXIT", BOX))
    for _ in range(6):
        film.show(drawn(""))
    assert film.show(drawn("EXIT"), ("EXIT", BOX)) == [track]


def test_a_line_ends_after_images_without_it_and_not_for_want_of_images() -> None:
    film = Film(fps=1)
    [track] = film.show(drawn("EXIT"), ("EXIT", BOX))
    for dropped, hidden in ((1, 0), (3, 0), (0, 1), (2, 1)):
        film.frames += dropped
        for _ in range(hidden):
            film.show(drawn(""))
        assert film.show(drawn("EXIT"), ("EXIT", BOX)) == [track]
    film.frames += 10  # as long as an absence
    assert film.show(drawn("EXIT"), ("EXIT", BOX)) != [track]


@settings(deadline=None, max_examples=25)
@given(fps=st.sampled_from([1, 2, 5]), gaps=st.lists(st.integers(0, 8), min_size=2, max_size=8))
def test_a_sign_that_stands_there_is_one_line_whatever_is_dropped(
    fps: int, gaps: list[int]
) -> None:
    film = Film(fps)
    tracks = []
    for noise, gap in enumerate(gaps):
        film.frames += gap  # less than an absence
        tracks += film.show(drawn("EXIT", noise=noise), ("EXIT", BOX))
    assert {track.id for track in tracks} == {tracks[0].id}


def test_a_part_of_a_line_is_that_line_or_no_line_at_all() -> None:
    film = Film()
    part = (125.0, 100.0, 220.0, 132.0)
    [whole] = film.show(drawn("YAMAHA"), ("YAMAHA", BOX))
    assert film.show(drawn("YAMAHA", 101), ("AMAHA", part)) == [whole]
    film = Film()
    left, right = (95.0, 100.0, 155.0, 132.0), (160.0, 100.0, 220.0, 132.0)
    first, second = film.show(drawn("YAMAHA"), ("YAM", left, 0.99), ("AHA", right, 0.99))
    for number in range(3):
        [whole] = film.show(drawn("YAMAHA", 102 + 6 * number), ("YAMAHA", moved(BOX, 6 * number)))
    assert whole.ballot.text == "YAMAHA"
    assert [track.real for track in (first, second)].count(True) == 1


def test_a_part_of_a_moving_line_does_not_move_the_whole() -> None:
    film, text, way = Film(), "NOT EVEN THE DEEP", 12.0
    box, last = (100.0, 100.0, 440.0, 132.0), (380.0, 100.0, 440.0, 132.0)
    for number in range(4):
        [whole] = film.show(drawn(text), (text, moved(box, way * number)))
    assert film.show(drawn(text), ("DEEP", moved(last, way * 4))) == [whole]
    film.show(drawn(""))
    film.show(drawn(""))
    most = (180.0, 100.0, 440.0, 132.0)
    assert film.show(drawn(text), ("EVEN THE DEEP", moved(most, way * 7))) == [whole]
    assert whole.ballot.text == text


def test_a_line_that_leaves_the_image_is_the_same_to_its_end() -> None:
    film = Film()
    for number in range(20):
        x = 100.0 - 12 * number
        letters = "PLATFORM"[max(0, -int(x) // 20) :]
        [track] = film.show(drawn(""), (letters, (max(0.0, x), 100.0, 260.0 + x - 100, 132.0)))
    assert track.number == 0
    assert track.ballot.text == "PLATFORM"


def test_two_lines_keep_apart() -> None:
    film = Film()
    below = (100.0, 140.0, 300.0, 172.0)
    for number in range(5):
        first, second = film.show(
            drawn("A", 100 + 9 * number),
            ("ONE", moved(BOX, 9 * number)),
            ("TWO", moved(below, 9 * number)),
        )
    assert (first.number, second.number) == (0, 1)
    assert (first.ballot.text, second.ballot.text) == ("ONE", "TWO")


@pytest.mark.parametrize(
    ("text", "score", "frames", "real"),
    [
        ("EXIT", 0.95, 1, True),
        ("EXIT", 0.8, 1, False),
        ("EXIT", 0.8, 2, True),
        ("EXIT", 0.5, 9, False),
        ("mm", 0.72, 9, False),
        ("B1", 0.9, 2, True),
        ("B1", 0.99, 1, False),
        ("X", 0.97, 5, False),
        ("7", 0.97, 12, True),
    ],
)
def test_what_is_real(text: str, score: float, frames: int, real: bool) -> None:
    film = Film()
    for _ in range(frames):
        [track] = film.show(drawn(text), (text, BOX, score))
    assert track.real == real


def test_a_repeated_image_keeps_what_was_there() -> None:
    film = Film()
    [track] = film.show(drawn("EXIT"), ("EXIT", BOX))
    film.tracker.repeat(7.0, [track.number])
    assert track.last == 7.0


def test_a_line_of_a_frame_has_a_box_and_a_height() -> None:
    quad = ((0.0, 0.0), (30.0, 40.0), (22.0, 46.0), (-8.0, 6.0))
    found = seen(TextLine(text="a", score=0.5, quad=quad, words=()))
    assert (found.box, found.height) == ((-8.0, 0.0, 30.0, 46.0), 10.0)


def test_looks_are_alike_up_to_noise() -> None:
    def look(image: Pixels) -> Look:
        part = image[100:132, 100:220]
        return np.asarray(cv2.resize(part, LOOK_SIZE, interpolation=cv2.INTER_AREA), np.uint8)

    assert alike(look(drawn("EXIT", noise=1)), look(drawn("EXIT", noise=2)).tobytes())
    assert not alike(look(drawn("EXIT")), look(drawn("OPEN")).tobytes())
    assert not alike(look(drawn("EXIT")), look(drawn("")).tobytes())
    assert not alike(look(drawn("")), look(drawn("EXIT")).tobytes())
    assert not alike(look(drawn("EXIT")), bytes(256))  # of a log that an earlier release wrote
