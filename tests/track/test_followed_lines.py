"""Which text is read, in drawn images."""

from itertools import pairwise
from typing import Any

import cv2
import numpy as np

from onlooker.media.picture import Still
from onlooker.track.followed_lines import (
    FIRST_READINGS,
    FIRST_SECONDS,
    GAP_SECONDS,
    MAX_AGAIN,
    MAX_REGIONS,
    MOVING_SECONDS,
    REST_SECONDS,
    FollowedLines,
    _length,
)
from onlooker.types import TextQuad

FPS = 25


def drawn(*lines: tuple[str, float, float], noise: int = 0) -> Still:
    """Return an image with lines of text, each with the place of its foot."""
    image = np.full((240, 640, 3), 60, np.uint8)
    for text, x, y in lines:
        cv2.putText(
            image, text, (round(x), round(y)), cv2.FONT_HERSHEY_DUPLEX, 1.0, (220,) * 3, 2, 16
        )
    noisy = image + np.random.default_rng(noise).normal(0, 2, image.shape)
    return Still(np.clip(noisy, 0, 255).astype(np.uint8))


def region(text: str, x: float, y: float, jitter: float = 0.0) -> TextQuad:
    width = cv2.getTextSize(text, cv2.FONT_HERSHEY_DUPLEX, 1.0, 2)[0][0]
    x, y = x + jitter, y + jitter
    corners: Any = ((x, y - 24), (x + width, y - 24), (x + width, y + 4), (x, y + 4))
    return TextQuad(quad=corners, score=0.9)


class Film:
    def __init__(self) -> None:
        self.followed, self.index = FollowedLines(), -1
        self.taken: tuple[TextQuad, ...] = ()

    def show(
        self,
        *lines: tuple[str, float, float],
        missed: bool = False,
        cut: bool = False,
        jitter: float = 0.0,
    ) -> list[int]:
        """Return the places of the regions that must be read."""
        self.index += 1
        image = drawn(*lines, noise=self.index)
        found = [] if missed else [region(*line, jitter) for line in lines]
        self.taken = self.followed.take(self.index, self.index / FPS, found, image, cut)
        return [place for place, each in enumerate(self.taken) if not each.known]


def test_a_caption_is_read_a_few_times_and_then_at_an_interval() -> None:
    film = Film()
    jitter = [0.0, 1.0, -1.0]
    read = [n for n in range(60) if film.show(("BREAKING NEWS", 50, 100), jitter=jitter[n % 3])]
    gaps = [b - a for a, b in pairwise(read)]
    assert gaps == [round(FIRST_SECONDS * FPS)] * (FIRST_READINGS - 1) + [REST_SECONDS * FPS]
    like = film.taken[0].like
    assert like is not None
    assert (like.frame, like.number, like.move) == (read[-1], 0, (1, 0, 0, 0))


def test_text_that_moves_is_read_more_often_and_most_at_first() -> None:
    film = Film()
    read = [n for n in range(75) if film.show(("PLATFORM 9", 50 + 3 * n, 100))]
    gaps = [b - a for a, b in pairwise(read)]
    assert gaps[0] == round(FIRST_SECONDS * FPS)
    assert gaps[-1] in (round(MOVING_SECONDS * FPS), round(MOVING_SECONDS * FPS) + 1)
    like = film.taken[0].like
    if like is not None:
        assert abs(like.move[2] - 3 * (film.index - like.frame)) < 0.7


def test_another_text_at_the_same_place_is_read() -> None:
    film = Film()
    for second in range(3):
        assert film.show((f"12:00:0{second}", 50, 100)) == [0]
        assert film.show((f"12:00:0{second}", 50, 100)) == []


def test_a_longer_text_is_read_although_its_beginning_has_not_changed() -> None:
    film = Film()
    film.show(("NO", 50, 100))
    assert film.show(("NO", 50, 100)) == []
    assert film.show(("NO ENTRY", 50, 100)) == [0]


def test_one_of_several_is_read() -> None:
    film = Film()
    film.show(("ALPHA", 50, 60), ("GAMMA", 50, 160))
    assert film.show(("ALPHA", 50, 60), ("DELTA", 50, 160)) == [1]
    assert film.show(("DELTA", 50, 160), ("ALPHA", 50, 60)) == []


def test_text_that_the_detector_misses_is_there_if_its_pixels_are() -> None:
    film = Film()
    line = ("PLATFORM 9", 50.0, 100.0)
    film.show(line)
    film.show(line)
    assert film.show(line, missed=True) == []
    [there] = film.taken
    assert not there.detected
    assert there.like is not None
    assert there.like.frame == 0
    film.show()  # it has gone
    assert film.taken == ()


def test_a_region_that_was_detected_once_is_not_missed() -> None:
    film = Film()
    film.show(("PLATFORM 9", 50, 100))
    film.show(("PLATFORM 9", 50, 100), missed=True)
    assert film.taken == ()


def test_in_a_frame_that_is_not_searched_text_is_where_its_pixels_are() -> None:
    film = Film()
    film.show(("PLATFORM 9", 50, 100), ("EXIT", 50, 200))
    film.index += 1
    image = drawn(("PLATFORM 9", 54, 100), noise=1)
    [there] = film.followed.carry(film.index / FPS, image, False)
    assert not there.detected
    assert there.like is not None
    assert (there.like.frame, there.like.number) == (0, 0)
    assert abs(there.like.move[2] - 4) < 0.7
    assert film.followed.carry((film.index + 1) / FPS, image, True) == ()


def test_what_was_found_once_is_followed_as_fast_as_it_moves() -> None:
    followed, way = FollowedLines(), 14
    first = ("PLATFORM 9", 50.0, 100.0)
    followed.take(0, 0.0, [region(*first)], drawn(first), False, finer=True)
    for index in range(1, 5):
        image = drawn(("PLATFORM 9", 50.0 + way * index, 100.0), noise=index)
        if index % 2:
            [there] = followed.carry(index / FPS, image, False)
        else:
            [there] = followed.take(index, index / FPS, [], image, False)
        assert there.like is not None
        assert abs(there.quad[0][0] - region(*first).quad[0][0] - way * index) < 1


def test_boxes_that_differ_do_not_say_that_text_moves() -> None:
    """A detector sees more or less of the same line; its pixels stay where they are."""
    film, line = Film(), ("PLATFORM 9", 50.0, 100.0)
    for number in range(6):
        film.show(line, jitter=4.0 * (number % 2))
    [known] = film.followed.regions
    assert max(map(abs, known.motion.velocity)) < 1


def test_a_gap_is_bridged_for_a_while_only() -> None:
    film = Film()
    line = ("PLATFORM 9", 50.0, 100.0)
    film.show(line)
    film.show(line)
    bridged = 0
    for _ in range(FPS):
        film.show(line, missed=True)
        bridged += len(film.taken)
    assert bridged == int(GAP_SECONDS * FPS)


def test_text_in_frames_that_are_not_searched_has_no_gap() -> None:
    line = ("EXIT", 80, 100)
    film = Film()
    step = round(1.2 * GAP_SECONDS * FPS)
    for n in range(4):
        film.index = n * step
        found = film.followed.take(n * step, n * step / FPS, [region(*line)], drawn(line), False)
        # All but the first are later than a gap may be, and nothing was searched between them.
        assert [each.like is None for each in found] == [n == 0]
        film.followed.carry((n * step + step // 2) / FPS, drawn(line, noise=n), False)


def test_what_a_search_missed_is_not_detected_by_being_carried() -> None:
    line = ("EXIT", 80, 100)
    film = Film()
    film.show(line)
    film.show(line)
    left = [
        len(film.followed.take(n, n / FPS, [], drawn(line, noise=n), False))
        if n % 2
        else len(film.followed.carry(n / FPS, drawn(line, noise=n), False))
        for n in range(3, 3 + round(1.5 * GAP_SECONDS * FPS))
    ]
    assert left[0] == 1
    assert left[-1] == 0


def test_a_page_is_read_again_over_several_frames() -> None:
    page = [(f"Line {n} of a page of text", 20, 30 + 30 * n) for n in range(7)]
    film = Film()
    read = [film.show(*page) for _ in range(25)]
    assert read[0] == list(range(7))  # what is new waits for nothing
    assert len({place for places in read[1:] for place in places}) == 7
    longest = max(_length(region(*line).quad) for line in page)
    assert 0 < max(map(len, read[1:])) * longest <= MAX_AGAIN + longest
    assert max(map(len, read[1:])) < 7


def test_after_a_cut_all_is_read() -> None:
    film = Film()
    film.show(("ALPHA", 50, 60))
    assert film.show(("ALPHA", 50, 60), cut=True) == [0]


def test_more_regions_than_are_followed_are_read_each_time() -> None:
    followed, image = FollowedLines(), drawn(("X", 10, 100))
    many = [region("X", 7.0 * n, 100) for n in range(MAX_REGIONS + 6)]
    for index in range(2):
        taken = followed.take(index, index / FPS, many, image, False)
        assert len(taken) == len(many)
        assert sum(not each.known for each in taken) >= 6
    assert len(followed.regions) == MAX_REGIONS


def test_what_a_finer_search_found_stays_as_it_was_found() -> None:
    """A usual search finds a part of it, or nothing; its reading is carried over."""
    followed, line = FollowedLines(), ("PLATFORM 9", 50.0, 100.0)
    image, part = drawn(line), region("PLATFORM", 50.0, 100.0)
    [found] = followed.take(0, 0.0, [region(*line)], image, False, finer=True)
    assert not found.known
    [there] = followed.take(1, 0.04, [part], image, False)
    assert there.known
    assert there.detected
    assert there.quad == found.quad
    [there] = followed.take(2, 0.08, [], image, False)
    assert there.known
    assert not there.detected
    # It is read again, but as the finer search found it.
    [there] = followed.take(3, FIRST_SECONDS, [part], image, False)
    assert there.again
    assert there.quad == found.quad
    [there] = followed.take(4, FIRST_SECONDS + 0.04, [part], image, False)
    assert there.known
    assert there.like is not None
    assert (there.like.frame, there.like.number) == (3, 0)


def test_regions_of_a_finer_search_are_not_one_of_a_usual_search() -> None:
    followed = FollowedLines()
    lines = [("WAY", 50.0, 100.0), ("OUT", 130.0, 100.0), ("NOW", 205.0, 100.0)]
    image = drawn(*lines)
    followed.take(0, 0.0, [region(*line) for line in lines], image, False, finer=True)
    taken = followed.take(1, 0.04, [region("WAY OUT NOW", 50.0, 100.0)], image, False)
    assert [(each.known, each.detected) for each in taken] == [(True, True)] * 3


def test_new_text_beside_what_a_finer_search_found_is_read() -> None:
    followed, old, new = FollowedLines(), ("EXIT", 50.0, 100.0), ("STOP", 50.0, 200.0)
    followed.take(0, 0.0, [region(*old)], drawn(old), False, finer=True)
    taken = followed.take(1, 0.04, [region(*old), region(*new)], drawn(old, new), False)
    assert [each.known for each in taken] == [True, False]


def test_a_longer_line_around_what_a_finer_search_found_is_read_instead() -> None:
    followed, part, whole = FollowedLines(), ("FARE", 130.0, 100.0), ("THE FARE IS", 50.0, 100.0)
    image = drawn(whole)
    followed.take(0, 0.0, [region(*part)], image, False, finer=True)
    assert followed.take(1, 0.04, [region(*whole)], image, False) == (region(*whole),)


def test_text_inside_something_much_larger_is_read() -> None:
    followed, line = FollowedLines(), ("EXIT", 50.0, 100.0)
    image = Still(np.pad(drawn(line).bgr, ((0, 480), (0, 0), (0, 0)), "edge"))
    large = TextQuad(quad=((0.0, 20.0), (600.0, 20.0), (600.0, 110.0), (0.0, 110.0)), score=0.9)
    followed.take(0, 0.0, [large], image, False, finer=True)
    taken = followed.take(1, 0.04, [region(*line)], image, False)
    assert [each.known for each in taken] == [True, False]


def test_a_part_of_what_a_finer_search_found_does_not_come_back() -> None:
    followed, text = FollowedLines(), "MY FROM THE ANYONE"
    image = Still(np.pad(drawn((text, 50.0, 100.0)).bgr, ((0, 480), (0, 0), (0, 0)), "edge"))
    whole, most = region(text, 50.0, 100.0), region("FROM THE ANYONE", 110.0, 100.0)
    parts = [most, region("MY", 50.0, 100.0)]
    followed.take(0, 0.0, parts, image, False)
    followed.take(1, 0.04, parts, image, False)
    assert followed.take(2, 0.08, [whole], image, False, finer=True) == (whole,)
    [taken] = followed.take(3, 0.12, parts, image, False)
    assert np.allclose(taken.quad, whole.quad)


def test_a_finer_search_that_finds_nothing_is_believed() -> None:
    followed, line = FollowedLines(), ("PLATFORM 9", 50.0, 100.0)
    followed.take(0, 0.0, [region(*line)], drawn(line), False, finer=True)
    assert followed.take(1, 0.04, [], drawn(line), False, finer=True) == ()


def softer(line: tuple[str, float, float], sigma: float) -> Still:
    return Still(np.asarray(cv2.GaussianBlur(drawn(line).bgr, (0, 0), sigma), np.uint8))


def test_where_nothing_is_new_text_may_change_little_by_little() -> None:
    followed, line = FollowedLines(), ("PLATFORM 9", 50.0, 100.0)
    followed.take(0, 0.0, [region(*line)], drawn(line), False)
    for number, sigma in enumerate((0.5, 0.8, 1.1, 1.4, 1.7, 2.0, 2.3), 1):
        [there] = followed.carry(number * 0.04, softer(line, sigma), False, nothing_new=True)
        assert there.known
    assert followed.carry(0.32, softer(line, 2.5), False) == ()
    assert followed.carry(0.36, drawn(), False, nothing_new=True) == ()


def test_large_text_is_not_left_to_finer_searches() -> None:
    followed, image = FollowedLines(), Still(drawn(("EXIT 21", 50.0, 100.0)).bgr[50:120])
    few, all_of_it = region("EXIT", 50.0, 50.0), region("EXIT 21", 50.0, 50.0)
    for number in range(2):
        [taken] = followed.take(number, number * 0.04, [few], image, False, finer=True)
        assert taken.detected
    # The usual search has another outline of it: that is read.
    [taken] = followed.take(2, 0.08, [all_of_it], image, False)
    assert taken == all_of_it


def test_what_stands_still_and_looks_different_is_another_text() -> None:
    followed, line = FollowedLines(), ("PLATFORM 9", 50.0, 100.0)
    followed.take(0, 0.0, [region(*line)], drawn(line), False)
    another = drawn(("PLATFORM 4", 50.0, 100.0))
    assert followed.carry(0.04, another, False, nothing_new=True) == ()


def test_what_was_gone_a_frame_ago_is_not_back_where_nothing_is_new() -> None:
    followed, line = FollowedLines(), ("PLATFORM 9", 50.0, 100.0)
    followed.take(0, 0.0, [region(*line)], drawn(line), False)
    followed.take(1, 0.04, [region(*line)], drawn(line), False)
    assert followed.take(2, 0.08, [], drawn(), False) == ()
    assert followed.carry(0.12, drawn(line), False, nothing_new=True) == ()


def test_what_one_search_found_is_not_detected_by_being_read_again() -> None:
    followed, base = FollowedLines(), drawn(("PLATFORM 9", 50.0, 100.0)).bgr
    detections = []
    for number in range(30):
        # It moves, so that it is read again and again.
        image = Still(np.roll(base, 2 * number, axis=1))
        found = [region("PLATFORM 9", 50.0, 100.0)] if number == 0 else []
        taken = followed.take(number, number / FPS, found, image, False, finer=number == 0)
        detections += [each.detected for each in taken]
    assert sum(detections) == 1
    assert GAP_SECONDS * FPS - 1 <= len(detections) <= GAP_SECONDS * FPS + 1


def test_a_word_that_comes_beside_what_a_finer_search_found_is_read_at_once() -> None:
    followed, short, long = FollowedLines(), "PLATFORM 9", "PLATFORM 9 IN"
    before, after = drawn((short, 50.0, 100.0)), drawn((long, 50.0, 100.0))
    followed.take(0, 0.0, [region(short, 50.0, 100.0)], before, False, finer=True)
    followed.take(1, 0.04, [region(short, 50.0, 100.0)], before, False)
    whole = region(long, 50.0, 100.0)
    assert followed.take(2, 0.08, [whole], after, False) == (whole,)
