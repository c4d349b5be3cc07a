"""Text recognition: known words at any angle, and the crops that are remembered."""

import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray
from tests.support.single import TextFinder, TextReader
from tests.support.text_pages import ThoroughText, page_of

from onlooker.config import schema
from onlooker.media import image
from onlooker.media.picture import Still
from onlooker.types import TextLine, TextQuad
from onlooker.vision import text_reader
from onlooker.vision.text_gaps import Character

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


def test_a_title_in_letters_of_its_own_is_read(
    find: TextFinder, read: TextReader, pictures: Path
) -> None:
    with av.open(str(pictures / "video" / "title.mp4")) as video:
        frames = [frame.to_ndarray(format="bgr24") for frame in video.decode(video=0)]
    for number in (30, 40, 50, 60, 70):
        picture = Still(np.asarray(frames[number], np.uint8))
        assert [line.text.casefold() for line in read(picture, find(picture))] == ["caminandes"]


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


def test_nothing_is_read_where_nothing_is_written(find: TextFinder, read: TextReader) -> None:
    for shade in (0, 255):
        blank = Still(np.full((180, 320, 3), shade, np.uint8))
        assert find(blank) == ()
        assert read(blank, ()) == ()
    plain = TextQuad(quad=((10, 10), (90, 10), (90, 30), (10, 30)), score=1.0)
    assert read(Still(np.full((60, 120, 3), 90, np.uint8)), [plain]) == ()


@pytest.fixture(scope="module")
def detect_text() -> ThoroughText:
    return ThoroughText()


def test_a_page_in_perspective(detect_text: ThoroughText) -> None:
    pixels, words = page_of(30, 900, 600, 22)
    corners = np.array([(0, 0), (900, 0), (900, 600), (0, 600)], np.float32)
    seen = np.array([(120, 60), (820, 20), (880, 640), (40, 520)], np.float32)
    matrix = cv2.getPerspectiveTransform(corners, seen)
    tilted = cv2.warpPerspective(pixels, matrix, (900, 660), borderValue=(90, 120, 90))
    assert detect_text.recall(np.asarray(tilted, np.uint8), words) >= 0.9


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_text_that_is_turned_by_quarters(detect_text: ThoroughText, quarters: int) -> None:
    pixels, words = page_of(20, 640, 360, 18)
    turned = np.ascontiguousarray(np.rot90(pixels, quarters))
    assert detect_text.recall(turned, words) >= 0.95
    # Its first side shows which way it runs: rot90 turns against the clock.
    for line in detect_text(turned):
        (ax, ay), (bx, by) = line.quad[:2]
        angle = math.degrees(math.atan2(ay - by, bx - ax)) % 360
        assert angle == pytest.approx(90 * quarters, abs=3)


def test_a_page_of_three_hundred_words(detect_text: ThoroughText) -> None:
    pixels, words = page_of(300, 1400, 1400, 22)
    assert len(words) == 300
    assert detect_text.recall(pixels, words) >= 0.98


def test_transparent_and_deep_images_are_read(detect_text: ThoroughText) -> None:
    pixels, words = page_of(8, 640, 200, 20)
    clear = np.dstack([pixels, np.where(pixels[:, :, 0] < 128, 255, 0)]).astype(np.uint8)
    deep = pixels.astype(np.uint16) * 257
    grey = pixels[:, :, 0]
    for form in (clear, deep, grey):
        data = cv2.imencode(".png", form)[1].tobytes()
        assert detect_text.recall(image.decode(data).bgr, words) == 1


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("Ä Ö Ü ä ö ü ß", marks=pytest.mark.xfail(reason="ß is B", strict=True)),
        pytest.param("Ä Ö Ü ä ö ü", marks=pytest.mark.xfail(reason="ä ö is äö", strict=True)),
        "É È À Ç",
        "ü ø ñ é",
    ],
)
def test_single_accented_letters_are_read(detect_text: ThoroughText, text: str) -> None:
    pixels = np.full((134, 420, 3), 255, np.uint8)
    cv2.putText(pixels, text, (40, 80), (0, 0, 0), cv2.FontFace("sans"), 40, 400)
    assert [word.text for line in detect_text(pixels) for word in line.words] == text.split()


def test_letters_that_stand_apart_turn_with_words_only(detect_text: ThoroughText) -> None:
    """Alone, Ñ and ñ look like U and N upside down."""
    pixels = np.full((200, 640, 3), 255, np.uint8)
    cv2.putText(pixels, "Ñ ñ", (40, 130), (0, 0, 0), cv2.FontFace("sans"), 64, 400)
    [line] = detect_text(pixels)
    assert line.quad[0][0] < line.quad[1][0]

    page = np.full((300, 640, 3), 255, np.uint8)
    for text, y in (("Harbour Museum", 100), ("Q R S", 220)):
        cv2.putText(page, text, (40, y), (0, 0, 0), cv2.FontFace("sans"), 50, 400)
    turned = np.ascontiguousarray(page[::-1, ::-1])
    assert {line.text for line in detect_text(turned)} == {"Harbour Museum", "Q R S"}


def test_crops_that_were_read_are_remembered_if_images_repeat(
    page: Still, monkeypatch: pytest.MonkeyPatch
) -> None:
    find, read = TextFinder(SETTINGS), TextReader(SETTINGS)
    runs: list[int] = []
    model = read.whole._recognised.recognisers[0].model
    run_each = model.run_each

    def counted(images: list[NDArray[np.uint8]]) -> list[list[NDArray[Any]]]:
        runs.append(len(images))
        return run_each(images)

    monkeypatch.setattr(model, "run_each", counted)
    quads = find(page)
    first = read(page, quads)
    assert sum(runs) == len(quads)
    assert read(page, quads) == first
    assert sum(runs) == len(quads)
    read.whole.forget()
    assert read(page, quads) == first
    assert sum(runs) == 2 * len(quads)


def test_no_more_than_the_latest_crops_are_remembered(
    page: Still, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_reader, "MAX_REMEMBERED_CROPS", 3)
    find, read = TextFinder(SETTINGS), TextReader(SETTINGS)
    quads = find(page)
    assert len(quads) > 3
    read(page, quads)
    assert len(read.whole._remembered) == 3
    latest = list(read.whole._remembered)
    read(page, quads[-2:])
    assert set(read.whole._remembered) == set(latest)
    assert list(read.whole._remembered)[-2:] == latest[-2:]


def test_many_crops_are_read_in_groups_as_all_at_once(
    page: Still, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hostile image may have a thousand long regions: their crops are not all kept at once."""
    settings = schema.Text(detection="thorough")
    quads = TextFinder(settings)(page)
    whole = TextReader(settings)(page, quads)
    groups: list[int] = []
    monkeypatch.setattr(text_reader, "MAX_CROPS", 2)
    read = TextReader(settings)
    recognised = read.whole._recognised

    def counted(crops: Sequence[bytes]) -> list[tuple[Character, ...]]:
        groups.append(len(crops))
        return recognised(crops)

    monkeypatch.setattr(read.whole, "_recognised", counted)
    assert read(page, quads) == whole
    assert max(groups) == 2
    assert len(groups) >= len(quads) / 2
