"""Text detection: real scenes with known words, and pages drawn here."""

import time
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from bench.support.icdar import Score, Written, scenes
from numpy.typing import NDArray
from tests.support.single import TextFinder, TextReader
from tests.support.street_scenes import scene
from tests.support.text_pages import ThoroughText, page_of

from onlooker.config import schema
from onlooker.media import image
from onlooker.media.picture import Still
from onlooker.vision import text_finder

SCENES = 12
"""How many of `tests.support.street_scenes` are read."""


@pytest.fixture(scope="module")
def detect_text() -> ThoroughText:
    return ThoroughText()


def street_scenes(samples: Path, detection: Literal["fast", "thorough"]) -> Score:
    settings = schema.Text(size=640, detection=detection)
    find, read = TextFinder(settings, "cpu"), TextReader(settings, "cpu")
    score = Score()
    for path, truth in scenes(samples):
        picture = image.read(path)
        words = [word for line in read(picture, find(picture)) for word in line.words]
        score.add(truth, [Written(np.array(word.quad, np.float32), word.text) for word in words])
    assert score.truth == 111
    return score


def drawn_scenes(pictures: Path, detection: Literal["fast", "thorough"]) -> Score:
    settings = schema.Text(size=640, detection=detection)
    find, read = TextFinder(settings, "cpu"), TextReader(settings, "cpu")
    score = Score()
    for number in range(SCENES):
        pixels, truth = scene(pictures, number)
        words = [word for line in read(Still(pixels), find(Still(pixels))) for word in line.words]
        score.add(truth, [Written(np.array(word.quad, np.float32), word.text) for word in words])
    assert score.truth == 131
    return score


def test_words_of_signs_in_photographs_found_thoroughly(pictures: Path) -> None:
    """Measured: .93 for the words' places, .90 with their text; overlap .76 with the true quads."""
    score = drawn_scenes(pictures, "thorough")
    assert score.detection > 0.91
    assert score.end_to_end > 0.88
    assert score.overlap > 0.74


def test_words_of_signs_in_photographs_found_fast(pictures: Path) -> None:
    """Measured: .87 for the words' places, .85 with their text; overlap .73 with the true quads."""
    score = drawn_scenes(pictures, "fast")
    assert score.detection > 0.85
    assert score.end_to_end > 0.83
    assert score.overlap > 0.72


def test_words_of_street_scenes_found_thoroughly(samples: Path) -> None:
    """Measured: .77 for the words' places, .60 with their text; overlap .78 with the true quads."""
    score = street_scenes(samples, "thorough")
    assert score.detection > 0.70
    assert score.end_to_end > 0.57
    assert score.overlap > 0.75


def test_words_of_street_scenes_found_fast(samples: Path) -> None:
    """Measured: .70 for the words' places, .52 with their text; overlap .71 with the true quads."""
    score = street_scenes(samples, "fast")
    assert score.detection > 0.66
    assert score.end_to_end > 0.49
    assert score.overlap > 0.69


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize(
    ("width", "height", "capital"), [(320, 180, 8), (640, 360, 8), (1000, 400, 7)]
)
def test_small_text_of_small_images(
    detect_text: ThoroughText, width: int, height: int, capital: float, dark: bool
) -> None:
    assert detect_text.recall(*page_of(30, width, height, capital, dark)) >= 0.95


@pytest.mark.parametrize(
    ("width", "height", "capital", "dark"),
    [(1600, 1200, 8, False), (3000, 2000, 12, False), (4000, 3000, 16, True)],
)
def test_small_text_of_large_images(
    detect_text: ThoroughText, width: int, height: int, capital: float, dark: bool
) -> None:
    """At 960 pixels the capitals are less than 5 high."""
    assert detect_text.recall(*page_of(40, width, height, capital, dark)) >= 0.95


def test_large_text_costs_one_run_however_large_the_image(
    detect_text: ThoroughText, monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes: list[tuple[int, ...]] = []
    finder = detect_text.find.whole
    run = finder._run

    def counted(inputs: list[NDArray[np.uint8]]) -> list[NDArray[np.float32]]:
        shapes.extend(each.shape for each in inputs)
        return run(inputs)

    monkeypatch.setattr(finder, "_run", counted)
    pixels, words = page_of(6, 4000, 3000, 120)
    assert detect_text.recall(pixels, words) == 1
    assert shapes == [(704, 960, 3)]
    shapes.clear()
    pixels, words = page_of(6, 300, 80, 16)
    assert detect_text.recall(pixels, words) == 1
    assert shapes == [(80, 300, 3)]  # nor is a small image enlarged without need


@pytest.mark.parametrize("shape", [(1, 1), (1, 20000), (20000, 1), (3, 5), (31, 33), (2, 4000)])
def test_images_of_odd_shapes_hold_no_text(
    detect_text: ThoroughText, shape: tuple[int, int]
) -> None:
    for pixels in (
        np.full((*shape, 3), 255, np.uint8),
        np.random.default_rng(2).integers(0, 256, (*shape, 3), np.uint8),
    ):
        began = time.monotonic()
        assert detect_text(pixels) == ()
        assert time.monotonic() - began < 60  # a bound, not a measure of speed


def test_a_large_white_image_has_no_text(detect_text: ThoroughText) -> None:
    """As large as a file may be: `image.decode` refuses one of 8000 x 8000."""
    assert image.MAX_PIXELS == 8125 * 8000
    assert detect_text(np.full((8125, 8000, 3), 255, np.uint8)) == ()


def test_candidates_of_the_fast_search_look_like_words() -> None:
    sizes = [(50, 20), (49, 20), (20, 50), (300, 40), (300, 41), (30, 9), (30, 8.9)]
    quads = [[[0, 0], [wide, 0], [wide, high], [0, high]] for wide, high in sizes]
    heights = [min(size) for size in sizes]
    found = text_finder.Regions(
        np.array(quads, np.float32), np.full(7, 0.5, np.float32), np.array(heights, np.float32)
    )
    like = text_finder._like_words(found)
    assert like.tolist() == [True, False, False, True, False, True, False]


def test_a_finer_search_finds_smaller_text() -> None:
    page, _ = page_of(40, 1280, 720, 6)  # one line
    find = text_finder.TextFinder(schema.Text(), "cpu")
    usual, finer = find([Still(page)] * 2, [False, True])
    widths = [sum(each.quad[1][0] - each.quad[0][0] for each in found) for found in (usual, finer)]
    assert widths[1] > 1000 > 2 * widths[0]


def test_the_thousand_best_regions_of_several_runs_are_kept() -> None:
    scores = np.random.default_rng(1).permutation(1300).astype(np.float32)
    quads = scores[:, None, None] * np.ones((1, 4, 2), np.float32)
    runs = [
        text_finder.Regions(quads[part], scores[part], scores[part])
        for part in (slice(700), slice(700, 1300))
    ]
    kept = text_finder._together(runs)
    assert kept.scores.tolist() == list(range(1299, 299, -1))
    assert (kept.quads[:, 0, 0] == kept.scores).all()
    assert (kept.heights == kept.scores).all()
