"""Real pictures with known words, and the geometry of lines, words and reading order."""

import math
import re
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import pytest
import skimage.data
from bench.support.icdar import Score, Written, scenes
from numpy.typing import NDArray
from tests.support.single import TextFinder, TextReader

from onlooker.config import schema
from onlooker.media import image
from onlooker.media.picture import Still
from onlooker.types import TextLine, TextQuad

SETTINGS = schema.Text(size=960)


@pytest.fixture(scope="module")
def find() -> TextFinder:
    return TextFinder(SETTINGS, "cpu")


@pytest.fixture(scope="module")
def read() -> TextReader:
    return TextReader(SETTINGS, "cpu")


PAGE = [
    "Region-based segmentation",
    "Let us first determine markers of the coins and the",
    "background. These markers are pixels that we can label",
    "unambiguously as either object or background. Here,",
    "the markers are found at the two extreme parts of the",
    "histogram of grey values:",
    ">> markers = np.zeros_like(coins)",
]


@pytest.fixture(scope="module")
def page() -> Still:
    return image.read(Path(skimage.data.__file__).parent / "page.png")


@pytest.fixture(scope="module")
def page_lines(find: TextFinder, read: TextReader, page: Still) -> tuple[TextLine, ...]:
    return read(page, find(page))


def test_a_printed_page_is_read_line_by_line(page_lines: tuple[TextLine, ...]) -> None:
    assert [line.text for line in page_lines] == PAGE
    assert all(line.score > 0.95 for line in page_lines)
    for line in page_lines:
        assert " ".join(word.text for word in line.words) == line.text


def test_words_lie_inside_their_line_one_after_another(page_lines: tuple[TextLine, ...]) -> None:
    for line in page_lines:
        outline = np.array(line.quad, np.float32)
        for word in line.words:
            for corner in word.quad:
                assert cv2.pointPolygonTest(outline, corner, True) > -0.1
        for one, next_one in pairwise(line.words):
            assert one.quad[1][0] < next_one.quad[0][0] + 1
        assert line.words[0].quad[0] == pytest.approx(line.quad[0])
        assert line.words[-1].quad[2] == pytest.approx(line.quad[2])


def test_words_lie_where_their_ink_is(page: Still, page_lines: tuple[TextLine, ...]) -> None:
    """Between two words of the second line is paper, and in the words is ink."""
    grey = page.bgr[:, :, 0].astype(float)
    words = page_lines[1].words
    middle = round((page_lines[1].quad[0][1] + page_lines[1].quad[2][1]) / 2)
    # The page is in the shade on its left, so ink is what is much darker than the paper above it.
    columns = grey[middle - 6 : middle + 6]
    ink = (columns.min(0) < 0.6 * columns.max(0)).astype(float)
    for word in words:
        assert ink[round(word.quad[0][0]) : round(word.quad[1][0])].mean() > 0.4, word.text
    for one, next_one in pairwise(words):
        between = round((one.quad[1][0] + next_one.quad[0][0]) / 2)
        assert ink[between - 1 : between + 1].max() == 0, one.text


@pytest.mark.parametrize("degrees", [-20, 20, 90, -90])
def test_turned_text_is_read_from_its_own_top_left(
    find: TextFinder, read: TextReader, page: Still, degrees: int
) -> None:
    angle = math.radians(degrees)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    centre = np.array([page.width, page.height]) / 2
    matrix = np.hstack([turn, (np.array([300, 300]) - turn @ centre)[:, None]])
    white = (255, 255, 255)
    turned = np.asarray(cv2.warpAffine(page.bgr, matrix, (600, 600), borderValue=white), np.uint8)
    lines = read(Still(turned), find(Still(turned)))
    title = next(line for line in lines if line.text == PAGE[0])
    (ax, ay), (bx, by) = title.quad[:2]
    assert math.degrees(math.atan2(by - ay, bx - ax)) == pytest.approx(degrees, abs=2)
    # Of the lines in the shade the detector loses a part when they are turned.
    assert sum(line.text in PAGE for line in lines) >= 3
    expected = [line for line in PAGE if line in {found.text for found in lines}]
    assert [line.text for line in lines if line.text in PAGE] == expected


def test_a_book_cover_a_screen_and_a_menu(
    find: TextFinder, read: TextReader, samples: Path
) -> None:
    def lines(name: str) -> list[str]:
        picture = image.read(samples / name)
        return [line.text for line in read(picture, find(picture))]

    book = lines("faces/groups/aws_pexels/pexels-christina-morillo-1181671.jpg")
    assert {"System Administration", "Python", "for Unix and Linux", "O'REILLY"} <= set(book)
    screen = lines("text/other/text.jpg")
    paragraph = [
        "System Software Update",
        "After preparation is complete, the PS4 will automatically restart and the update file will"
        " be",
        "installed.",
        "37%",
        "Back",
    ]
    assert [line for line in screen if line in paragraph] == paragraph
    menu = lines("text/other/text_menu.jpg")
    assert {"DESSERT", "VERY HOT", "No personal check accepted."} <= set(menu)


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


def test_words_of_street_scenes_found_thoroughly(samples: Path) -> None:
    """Measured: .75 for the words' places, .54 with their text; overlap .78 with the true quads."""
    score = street_scenes(samples, "thorough")
    assert score.detection > 0.70
    assert score.end_to_end > 0.51
    assert score.overlap > 0.75


def test_words_of_street_scenes_found_fast(samples: Path) -> None:
    """Measured: .60 for the words' places, .43 with their text; overlap .72 with the true quads."""
    score = street_scenes(samples, "fast")
    assert score.detection > 0.57
    assert score.end_to_end > 0.40
    assert score.overlap > 0.70


def test_nothing_is_read_where_nothing_is_written(find: TextFinder, read: TextReader) -> None:
    for shade in (0, 255):
        blank = Still(np.full((180, 320, 3), shade, np.uint8))
        assert find(blank) == ()
        assert read(blank, ()) == ()
    plain = TextQuad(quad=((10, 10), (90, 10), (90, 30), (10, 30)), score=1.0)
    assert read(Still(np.full((60, 120, 3), 90, np.uint8)), [plain]) == ()


# Pictures that are made here: what is in them is known to the letter.

WORDS = re.findall(
    r"\w+",
    "region based segmentation first determine markers coins background pixels label either "
    "object found extreme parts histogram grey values people system network station library "
    "garden morning window market river mountain colour summer winter letter number street",
)
INK, PAPER = (25, 25, 25), (240, 240, 240)


def page_of(
    count: int, width: int, height: int, capital: float, dark: bool = False
) -> tuple[NDArray[np.uint8], list[str]]:
    """A page of `count` words in capitals of `capital` pixels, and the words; fewer if it is full.

    OpenCV's letters are 21 pixels high at scale 1.
    """
    ink, paper = (PAPER, INK) if dark else (INK, PAPER)
    drawn = np.full((height, width, 3), paper, np.uint8)
    scale, stroke = capital / 21, max(1, round(capital / 13))
    font = cv2.FONT_HERSHEY_SIMPLEX
    chance = np.random.default_rng(7)
    margin = round(2 * capital) + 4
    x, y = margin, margin
    words: list[str] = []
    while len(words) < count:
        word = str(chance.choice(WORDS))
        (wide, _), _ = cv2.getTextSize(word + " ", font, scale, stroke)
        if x + wide > width - margin:
            x, y = margin, y + round(2.2 * capital) + 2
            if y > height - margin:
                break
        cv2.putText(drawn, word, (x, y), font, scale, ink, stroke, cv2.LINE_AA)
        x += wide
        words.append(word)
    return drawn, words


@pytest.fixture(scope="module")
def look() -> "Look":
    return Look()


class Look:
    """What DetectText sees."""

    def __init__(self) -> None:
        settings = schema.Text(detection="thorough")
        self.find = TextFinder(settings, "cpu")
        self.read = TextReader(settings, "cpu")

    def __call__(self, pixels: NDArray[np.uint8]) -> tuple[TextLine, ...]:
        picture = Still(pixels)
        return self.read(picture, self.find(picture))

    def recall(self, pixels: NDArray[np.uint8], words: list[str]) -> float:
        found = Counter(word.text for line in self(pixels) for word in line.words)
        return sum((found & Counter(words)).values()) / len(words)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize(
    ("width", "height", "capital"), [(320, 180, 8), (640, 360, 8), (1000, 400, 7)]
)
def test_small_text_of_small_pictures(
    look: Look, width: int, height: int, capital: float, dark: bool
) -> None:
    assert look.recall(*page_of(30, width, height, capital, dark)) >= 0.95


@pytest.mark.parametrize(
    ("width", "height", "capital", "dark"),
    [(1600, 1200, 8, False), (3000, 2000, 12, False), (4000, 3000, 16, True)],
)
def test_small_text_of_large_pictures(
    look: Look, width: int, height: int, capital: float, dark: bool
) -> None:
    """In one look at 960 pixels the capitals are less than 5 high."""
    assert look.recall(*page_of(40, width, height, capital, dark)) >= 0.95


def test_large_text_costs_one_look_however_large_the_picture(
    look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, ...]] = []
    finder = look.find.whole
    run = finder._run

    def counted(inputs: list[NDArray[np.uint8]]) -> list[NDArray[np.float32]]:
        seen.extend(each.shape for each in inputs)
        return run(inputs)

    monkeypatch.setattr(finder, "_run", counted)
    pixels, words = page_of(6, 4000, 3000, 120)
    assert look.recall(pixels, words) == 1
    assert seen == [(704, 960, 3)]
    seen.clear()
    pixels, words = page_of(6, 300, 80, 16)
    assert look.recall(pixels, words) == 1
    assert seen == [(80, 300, 3)]  # nor is a small picture blown up without need


def test_a_page_seen_from_the_side(look: Look) -> None:
    pixels, words = page_of(30, 900, 600, 22)
    corners = np.array([(0, 0), (900, 0), (900, 600), (0, 600)], np.float32)
    seen = np.array([(120, 60), (820, 20), (880, 640), (40, 520)], np.float32)
    matrix = cv2.getPerspectiveTransform(corners, seen)
    tilted = cv2.warpPerspective(pixels, matrix, (900, 660), borderValue=(90, 120, 90))
    assert look.recall(np.asarray(tilted, np.uint8), words) >= 0.9


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_text_that_lies_on_its_side_or_stands_on_its_head(look: Look, quarters: int) -> None:
    pixels, words = page_of(20, 640, 360, 18)
    turned = np.ascontiguousarray(np.rot90(pixels, quarters))
    assert look.recall(turned, words) >= 0.95
    # Its first side shows which way it runs: rot90 turns against the clock.
    for line in look(turned):
        (ax, ay), (bx, by) = line.quad[:2]
        angle = math.degrees(math.atan2(ay - by, bx - ax)) % 360
        assert angle == pytest.approx(90 * quarters, abs=3)


def test_a_page_of_two_thousand_words(look: Look) -> None:
    pixels, words = page_of(2000, 3600, 3600, 22)
    assert len(words) == 2000
    assert look.recall(pixels, words) >= 0.98


@pytest.mark.parametrize("shape", [(1, 1), (1, 20000), (20000, 1), (3, 5), (31, 33), (2, 4000)])
def test_pictures_of_odd_shapes_hold_no_text(look: Look, shape: tuple[int, int]) -> None:
    for pixels in (
        np.full((*shape, 3), 255, np.uint8),
        np.random.default_rng(2).integers(0, 256, (*shape, 3), np.uint8),
    ):
        began = time.monotonic()
        assert look(pixels) == ()
        assert time.monotonic() - began < 60  # a bound, not a measure of speed


def test_a_large_white_picture_is_white(look: Look) -> None:
    """As large as a file may be: `image.decode` refuses one of 8000 x 8000."""
    assert image.MAX_PIXELS == 6250 * 8000
    assert look(np.full((6250, 8000, 3), 255, np.uint8)) == ()


def test_transparent_and_deep_pictures_are_read(look: Look) -> None:
    pixels, words = page_of(8, 640, 200, 20)
    clear = np.dstack([pixels, np.where(pixels[:, :, 0] < 128, 255, 0)]).astype(np.uint8)
    deep = pixels.astype(np.uint16) * 257
    grey = pixels[:, :, 0]
    for form in (clear, deep, grey):
        data = cv2.imencode(".png", form)[1].tobytes()
        assert look.recall(image.decode(data).bgr, words) == 1
