"""Large characters that stand alone, and pictures that look like one."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
from PIL import Image, ImageDraw, ImageFont
from tests.support.single import TextFinder, TextReader

from onlooker.media import image
from onlooker.media.picture import Pixels, Still
from onlooker.types import Quad
from onlooker.vision import lone_characters
from onlooker.vision.lone_characters import is_large, two_colours

SHIPPED = Path(skimage.data.__file__).parent


@pytest.fixture(scope="module")
def find() -> TextFinder:
    return TextFinder()


@pytest.fixture(scope="module")
def read() -> TextReader:
    return TextReader()


def pasted() -> Pixels:
    """A portrait on a plain frame, as in a title of a video."""
    frame = np.full((480, 640, 3), 255, np.uint8)
    frame[80:400, 20:340] = cv2.resize(image.read(SHIPPED / "astronaut.png").bgr, (320, 320))
    return frame


def texts(find: TextFinder, read: TextReader, pixels: Pixels) -> list[str]:
    return [line.text for line in read(Still(pixels), find(Still(pixels)))]


def test_a_photograph_is_no_character(
    find: TextFinder, read: TextReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = [image.read(SHIPPED / "coffee.png").bgr, pasted()]
    assert [texts(find, read, each) for each in pictures] == [[], []]
    monkeypatch.setattr(lone_characters, "MIN_TWO_COLOURS", 0.0)
    imagined = [texts(find, read, each) for each in pictures]
    assert any(len(text) == 1 for found in imagined for text in found), imagined


@pytest.mark.parametrize("character", ["8", "3", "A", "R"])
def test_a_large_character_alone_is_read(
    find: TextFinder, read: TextReader, character: str
) -> None:
    canvas = Image.new("RGB", (640, 480), (40, 60, 150))
    font = ImageFont.load_default(300)
    ImageDraw.Draw(canvas).text((200, 60), character, font=font, fill=(230, 220, 90))
    # Lit from the left, with a camera's noise.
    light = np.linspace(1, 0.6, 640)[:, None]
    noise = np.random.default_rng(1).normal(0, 6, (480, 640, 3))
    pixels = (np.asarray(canvas)[..., ::-1] * light + noise).clip(0, 255).astype(np.uint8)
    assert texts(find, read, np.ascontiguousarray(pixels)) == [character]


def test_only_a_character_of_some_size_is_large() -> None:
    picture = Still(np.zeros((400, 1000, 3), np.uint8))

    def quad(width: float, height: float) -> Quad:
        return ((0, 0), (width, 0), (width, height), (0, height))

    assert is_large(picture, quad(60, 120))
    assert is_large(picture, quad(120, 60))
    assert not is_large(picture, quad(60, 119))


def test_two_colours_explain_writing_and_not_a_ramp() -> None:
    crop = np.zeros((48, 40, 3), np.uint8)
    assert two_colours(crop) == 0
    crop[10:20] = (10, 200, 30)
    assert two_colours(crop) == pytest.approx(1)
    ramp = np.arange(240, dtype=np.uint8)[:, None].repeat(3, 1)[None]
    # Of an even ramp, halves explain three quarters.
    assert two_colours(ramp) == pytest.approx(0.75, abs=0.01)
