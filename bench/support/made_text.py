"""Text that is drawn here and known to the letter: plates, displays, passports, signs."""

import random
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import skimage.data
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Pixels = NDArray[np.uint8]
Colour = tuple[int, int, int]

CAPITALS, DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789"
ACCENTED = "ÄÖÜäöüßÉÈÀÇÑÅØéèàçñ"
PLATES = ("A-AA 9999", "AA-A 99", "AAA-A 999", "AA·AA 999", "AA-999-AA", "99-AA-99", "9-AAA-99",
          "AA99 AAA", "9999 AAA", "AAA 9999", "AAA-9999", "AAA9A99", "AA 99 AA 9999", "999-999",
          "AA99999", "AAA·999")  # fmt: skip
BLACK, WHITE, YELLOW, BLUE = (15, 15, 15), (240, 240, 240), (30, 200, 235), (120, 50, 20)
SEGMENTS = {"0": "abcdef", "1": "bc", "2": "abged", "3": "abgcd", "4": "fgbc", "5": "afgcd",
            "6": "afgedc", "7": "abc", "8": "abcdefg", "9": "abcdfg", "-": "g"}  # fmt: skip
ENDS = {"a": (0.12, 0, 0.88, 0), "b": (1, 0.06, 1, 0.44), "c": (1, 0.56, 1, 0.94),
        "d": (0.12, 1, 0.88, 1), "e": (0, 0.56, 0, 0.94), "f": (0, 0.06, 0, 0.44),
        "g": (0.12, 0.5, 0.88, 0.5)}  # fmt: skip
"""x1, y1, x2, y2 of each segment, in widths and heights of the digit."""


class Made(NamedTuple):
    """An image, and the lines of text in it."""

    pixels: Pixels
    lines: tuple[str, ...]


@lru_cache
def font(file: Path | None, size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return a font of that many pixels; None means the one in Pillow."""
    if file is None:
        return ImageFont.load_default(size)
    return ImageFont.truetype(str(file), size)


def drawn(
    text: str,
    size: int = 40,
    file: Path | None = None,
    spacing: float = 0,
    ink: Colour = BLACK,
    paper: Colour = WHITE,
    margin: float = 1,
) -> Pixels:
    """Return lines of text on paper, BGR. spacing, margin: in sizes of the font."""
    letters = font(file, size)
    rows = text.split("\n")
    steps = [[letters.getlength(each) + spacing * size for each in row] for row in rows]
    edge, pitch = round(margin * size), round(1.3 * size)
    width = round(max(map(sum, steps))) + 2 * edge
    image = Image.new("RGB", (width, pitch * len(rows) + 2 * edge), paper[::-1])
    pen = ImageDraw.Draw(image)
    for number, (row, wide) in enumerate(zip(rows, steps, strict=True)):
        x = float(edge)
        for each, step in zip(row, wide, strict=True):
            pen.text((x, edge + number * pitch), each, ink[::-1], font=letters)
            x += step
    return np.asarray(image)[:, :, ::-1].copy()


def photographed(pixels: Pixels, chance: random.Random) -> Pixels:
    """Return the image slightly blurred, with noise, after JPEG."""
    blur = chance.uniform(0.3, 1.0)
    soft = cv2.GaussianBlur(pixels, (0, 0), blur).astype(np.float32)
    noise = np.random.default_rng(chance.randrange(1 << 30)).normal(0, 4, pixels.shape)
    noisy = (soft + noise).clip(0, 255).astype(np.uint8)
    data = cv2.imencode(".jpg", noisy, [cv2.IMWRITE_JPEG_QUALITY, chance.randrange(60, 95)])[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)


def any_of(characters: str, count: int, chance: random.Random) -> str:
    return "".join(chance.choice(characters) for _ in range(count))


def plate(chance: random.Random, files: Sequence[Path | None]) -> Made:
    """Return a scene with a licence plate, 90 to 320 pixels wide and seen at an angle."""
    pattern = chance.choice(PLATES)
    text = "".join(
        any_of({"A": CAPITALS, "9": DIGITS}.get(each, each), 1, chance) for each in pattern
    )
    ink, paper = chance.choice([(BLACK, WHITE), (BLACK, YELLOW), (WHITE, BLUE), (WHITE, BLACK)])
    spacing = chance.choice([0, 0.03, 0.1])
    sign = drawn(text, 80, chance.choice(files), spacing, ink, paper, 0.3)
    height, width = sign.shape[:2]
    cv2.rectangle(sign, (3, 3), (width - 4, height - 4), ink, 4)
    cat = np.asarray(skimage.data.chelsea(), np.uint8)  # type: ignore[no-untyped-call]
    scene = cv2.GaussianBlur(cv2.resize(cat[:, :, ::-1], (640, 480)), (0, 0), 8)
    wide = chance.uniform(90, 320)
    high = wide * height / width
    turn = np.exp(1j * np.radians(chance.uniform(-12, 12)))
    centre = complex(chance.uniform(180, 460), chance.uniform(180, 300))
    corners = [
        complex(x, y) / 2 * turn + centre + complex(*_jitter(chance, 0.1 * high))
        for x, y in ((-wide, -high), (wide, -high), (wide, high), (-wide, high))
    ]
    small = cv2.GaussianBlur(sign, (0, 0), max(0.3, 0.3 * width / wide))
    matrix = cv2.getPerspectiveTransform(
        np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32),
        np.array([[each.real, each.imag] for each in corners], np.float32),
    )
    seen = cv2.warpPerspective(small, matrix, (640, 480))
    where = cv2.warpPerspective(np.full((height, width), 255, np.uint8), matrix, (640, 480))
    placed = np.where(where[:, :, None] > 127, seen, scene).astype(np.uint8)
    return Made(photographed(placed, chance), (text,))


def _jitter(chance: random.Random, size: float) -> tuple[float, float]:
    return chance.uniform(-size, size), chance.uniform(-size, size)


def number(chance: random.Random) -> str:
    """Return a number as meters and clocks show it; most have a point."""
    whole, part = chance.randrange(200), chance.randrange(100)
    return chance.choice(
        [f"{whole % 100:02d}.{part:02d}", f"{whole}.{part % 10}", f"{whole % 10}.{part:02d}7",
         f"-{whole % 30}.{part % 10}", f"{whole}{part:02d}"]
    )  # fmt: skip


def display(text: str, chance: random.Random) -> Made:
    """Return a seven-segment display; some lean, and some points touch the next digit."""
    height = chance.choice([60, 90, 140])
    ink, paper = chance.choice(
        [
            ((40, 40, 250), (15, 10, 10)),
            ((80, 255, 60), (10, 15, 10)),
            ((30, 30, 30), (180, 190, 170)),
        ]
    )
    lean, stroke = chance.uniform(0, 0.14), chance.uniform(0.07, 0.13)
    point, gap = chance.uniform(0.05, 0.08), chance.uniform(0.22, 0.35)
    width, edge = 0.52 * height, round(0.4 * height)
    step = width + gap * height
    count = sum(each != "." for each in text)
    image = np.full(
        (height + 2 * edge, round(count * step + (0.3 + lean) * height) + 2 * edge, 3),
        paper,
        np.uint8,
    )

    def place(x: float, y: float) -> tuple[int, int]:
        return round(edge + x + lean * height * (1 - y)), round(edge + y * height)

    x = 0.0
    for each in text:
        if each == ".":
            at = place(x - gap * height / 2, 1 - point / 2)
            cv2.circle(image, at, round(point * height), ink, -1, cv2.LINE_AA)
            continue
        for segment in SEGMENTS[each]:
            x1, y1, x2, y2 = ENDS[segment]
            ends = place(x + x1 * width, y1), place(x + x2 * width, y2)
            cv2.line(image, *ends, ink, max(1, round(stroke * height)), cv2.LINE_AA)
        x += step
    return Made(photographed(image, chance), (text,))


def singles(characters: str, chance: random.Random, files: Sequence[Path | None]) -> Made:
    """Return single characters with spaces between them."""
    text = " ".join(any_of(characters, chance.randrange(3, 8), chance))
    size = chance.choice([24, 36, 48])
    return Made(photographed(drawn(text, size, chance.choice(files)), chance), (text,))


def check_digit(field: str) -> str:
    """Return the check digit of ICAO Doc 9303, part 3: 7, 3, 1 times the values, modulo 10."""
    values = [0 if each == "<" else int(each, 36) for each in field]
    total = sum(7 * a for a in values[::3]) + sum(3 * b for b in values[1::3]) + sum(values[2::3])
    return str(total % 10)


def zone(chance: random.Random) -> tuple[str, ...]:
    """Return a machine-readable zone with right check digits: ICAO Doc 9303, parts 4 to 6."""
    names = chance.choice(["ERIKSSON", "OCONNOR", "LOPEZ", "NOVOTNY", "DOBOSZ", "QUINN"])
    given = chance.choice(["ANNA", "OSCAR", "ZOE", "BOB", "SIBIL", "LISBOA"])
    state = chance.choice(["UTO", "GBO", "ROU", "ISL", "COD", "USA"])
    document, born, until = (
        any_of(CAPITALS + DIGITS, 9, chance),
        f"{chance.randrange(100):02d}{chance.randrange(1, 13):02d}{chance.randrange(1, 29):02d}",
        f"{chance.randrange(100):02d}{chance.randrange(1, 13):02d}{chance.randrange(1, 29):02d}",
    )
    document, born, until = (each + check_digit(each) for each in (document, born, until))
    full, sex = f"{names}<<{given}<{chance.choice(['MARIA', 'OLGA'])}", chance.choice("MF<")
    kind = chance.choice([30, 36, 44])
    if kind == 30:
        first = f"I<{state}{document}".ljust(30, "<")
        second = f"{born}{sex}{until}{state}".ljust(29, "<")
        second += check_digit(first[5:] + second[:7] + second[8:15] + second[18:])
        return first, second, full.ljust(30, "<")
    first = f"{'P' if kind == 44 else 'I'}<{state}{full}".ljust(kind, "<")
    second = f"{document}{state}{born}{sex}{until}".ljust(kind - 1, "<")
    if kind == 44:
        second = second[:-1] + check_digit(second[28:42])
    second += check_digit(second[:10] + second[13:20] + second[21:])
    return first, second


def passport(chance: random.Random, files: Sequence[Path | None]) -> Made:
    """Return a machine-readable zone."""
    lines = zone(chance)
    size = chance.choice([18, 22, 28])
    return Made(photographed(drawn("\n".join(lines), size, chance.choice(files)), chance), lines)


def arc(text: str, radius: float, chance: random.Random, file: Path | None = None) -> Made:
    """Return text along the upper part of a circle."""
    side, letters = 600, font(file, 40)
    image = Image.new("RGB", (side, side), WHITE)
    widths = [1.15 * letters.getlength(each) for each in text]
    angle = -sum(widths) / radius / 2
    for each, width in zip(text, widths, strict=True):
        middle = angle + width / radius / 2
        letter = Image.new("L", (80, 80), 0)
        ImageDraw.Draw(letter).text((40, 40), each, 255, font=letters, anchor="mm")
        letter = letter.rotate(-np.degrees(middle), resample=Image.Resampling.BICUBIC)
        x, y = side / 2 + radius * np.sin(middle), side / 2 - radius * np.cos(middle)
        image.paste(BLACK, (round(x - 40), round(y - 40)), letter)
        angle += width / radius
    return Made(photographed(np.asarray(image)[:, :, ::-1].copy(), chance), (text,))
