"""Which frames are searched for text: a photograph that moves, and text that comes."""

from itertools import pairwise

import cv2
import numpy as np
import pytest
from tests.support.frames import frame

from onlooker.cli.demo_video import photographs
from onlooker.media.picture import Picture, Planes, Still
from onlooker.media.search_schedule import (
    FINER_SECONDS,
    MAX_REST_SECONDS,
    SearchSchedule,
    scheduled,
)
from onlooker.types import Frame, TextSearch

FPS = 25


def moving(number: int, text: str = "", pixels: float = 3.0) -> Picture:
    """Return a part of a photograph, 960 x 540, that moves to the right, with grain."""
    photograph = photographs().astronaut
    matrix = np.array([[3.0, 0, -100 - pixels * number], [0, 3.0, -200]])
    image = cv2.warpAffine(photograph, matrix, (960, 540), flags=cv2.INTER_CUBIC)
    if text:
        place, font = (400, 300), cv2.FONT_HERSHEY_DUPLEX
        cv2.putText(image, text, place, font, 1.0, (0, 0, 0), 6, cv2.LINE_AA)
        cv2.putText(image, text, place, font, 1.0, (255, 255, 255), 2, cv2.LINE_AA)
    grain = np.random.default_rng(number).integers(-3, 4, image.shape, np.int8)
    return Still(np.clip(image + grain.astype(np.int16), 0, 255).astype(np.uint8))


def searches(pictures: list[Picture], fps: float = FPS) -> list[TextSearch]:
    schedule = SearchSchedule()
    return [schedule(n / fps, Planes.of(picture)) for n, picture in enumerate(pictures)]


def intervals(numbers: list[int]) -> set[int]:
    return {b - a for a, b in pairwise(numbers)}


@pytest.mark.parametrize("pixels", [0.0, 1.3, 5.0])
def test_an_image_that_only_moves_is_searched_at_intervals(pixels: float) -> None:
    found = searches([moving(n, pixels=pixels) for n in range(31)])
    finer = [n for n, each in enumerate(found) if each == "finer"]
    assert finer[0] == 0
    assert intervals(finer) == {round(FINER_SECONDS * FPS)}
    searched = [n for n, each in enumerate(found) if each != "none"]
    assert max(intervals(searched)) == int(MAX_REST_SECONDS * FPS) + 1
    assert len(searched) < len(found) / 2


def test_text_that_comes_or_changes_is_searched_at_once() -> None:
    shown = ["", "", "", "", "", "WHERE ARE YOU", "WHERE ARE YOU", "I AM NOT HERE"]
    found = searches([moving(n, text) for n, text in enumerate(shown)])
    assert found[5] == found[7] == "usual"
    assert found[4] == found[6] == "none"


def test_a_slow_video_is_searched_in_every_frame() -> None:
    assert set(searches([moving(n) for n in range(6)], fps=2)) == {"finer"}


def test_a_stream_whose_time_begins_again() -> None:
    schedule, planes = SearchSchedule(), Planes.of(moving(0))
    assert [schedule(time, planes) for time in (9.0, 9.05, 0.0)] == ["finer", "none", "finer"]


def test_images_of_another_size_are_new() -> None:
    schedule = SearchSchedule()
    small = Planes.of(Still(np.zeros((36, 64, 3), np.uint8)))
    smaller = Planes.of(Still(np.zeros((18, 32, 3), np.uint8)))
    assert [schedule(n / 50, each) for n, each in enumerate([small, small, smaller])] == [
        "finer",
        "none",
        "usual",
    ]


def test_frames_do_not_depend_on_the_start() -> None:
    shown: list[tuple[Frame, Planes | None]] = [
        (frame("a", n), None if n == 3 else Planes.of(moving(n, "STOP" * (n > 5))))
        for n in range(9)
    ]
    whole = list(scheduled(shown, 0))
    assert [each.text for each, _ in whole][:4] == ["finer", "none", "none", "usual"]
    assert [each for each, _ in scheduled(shown, 5)] == [each for each, _ in whole[5:]]
