"""Lines of text drawn here in any script, whose text is known to the letter.

The font is DejaVu Sans (Debian: fonts-dejavu-core); Pillow's wheels shape Arabic. Without them a
test skips.
"""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, features

PLACES = ("/usr/share/fonts", "/usr/local/share/fonts", "~/.local/share/fonts")
MARGIN = 24

RUSSIAN = (
    "Осторожно, двери закрываются",
    "Добро пожаловать",
    "Скидка 50% до 15 января",
    "Улица Ленина, дом 7",
    "режиссёр Иван Петров",
)
ARABIC = ("ممنوع التدخين", "أهلا وسهلا", "مطار الملك خالد", "الطريق 25 مغلق", "هاتف: 0123456789")
ENGLISH = (
    "Mind the gap",
    "Sale ends on Friday",
    "Platform 12",
    "No smoking",
    "directed by Jane Roe",
)


def font(size: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans of `size` pixels."""
    found = [path for place in PLACES for path in Path(place).expanduser().rglob("DejaVuSans.ttf")]
    if not found or not features.check("raqm"):
        pytest.skip("lines are drawn with DejaVu Sans and a Pillow with raqm: fonts-dejavu-core")
    return ImageFont.truetype(str(found[0]), size)


def line_of(
    text: str, size: int = 32, ink: int = 20, paper: int = 235, margin: int = MARGIN
) -> NDArray[np.uint8]:
    """One line, (height, width, 3), with a margin around its ink."""
    letters = font(size)
    left, top, right, bottom = map(round, letters.getbbox(text))
    drawn = Image.new("RGB", (right - left + 2 * margin, bottom - top + 2 * margin), (paper,) * 3)
    at = (margin - left, margin - top)
    ImageDraw.Draw(drawn).text(at, text, fill=(ink,) * 3, font=letters)
    return np.array(drawn)


def crop_of(text: str, size: int = 32, ink: int = 20, paper: int = 235) -> NDArray[np.uint8]:
    """One line as a recogniser gets it: 48 pixels high, little margin."""
    drawn = line_of(text, size, ink, paper, margin=max(2, size // 10))
    height, width = drawn.shape[:2]
    resized = Image.fromarray(drawn).resize(
        (round(48 * width / height), 48), Image.Resampling.BICUBIC
    )
    return np.array(resized)


def page_of_lines(texts: tuple[str, ...], size: int = 32) -> NDArray[np.uint8]:
    """The lines below each other, at the left."""
    lines = [line_of(text, size) for text in texts]
    width = max(line.shape[1] for line in lines)
    return np.concatenate(
        [
            np.pad(line, ((0, 0), (0, width - line.shape[1]), (0, 0)), constant_values=235)
            for line in lines
        ]
    )
