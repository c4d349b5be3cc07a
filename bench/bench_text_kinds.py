"""Text of many kinds, drawn here: the share of images whose text is read to the letter.

Plates, seven-segment displays, single characters, accented capitals, machine-readable zones and
text along an arc; and the words of a street scene that the camera pans over. The fonts are the one
in Pillow, those of DejaVu if the system has them, and all in the folder --fonts.

    python -m bench.bench_text_kinds [--images 60] [--fonts FOLDER] [--detection thorough]

To compare two versions, run it twice with PYTHONPATH on the `pipeline` of each. The scenes are
under $ONLOOKER_SAMPLES; without them the video is left out.
"""

import argparse
import os
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from bench.support import made_text
from bench.support.icdar import ILLEGIBLE, Score, Written, scenes
from bench.support.machine import measured_with
from bench.support.made_text import ACCENTED, CAPITALS, DIGITS, Made, Pixels

from onlooker.config import schema
from onlooker.media import image
from onlooker.media.picture import Still
from onlooker.types import TextLine
from onlooker.vision.text_finder import TextFinder
from onlooker.vision.text_reader import TextReader

DEJAVU = Path("/usr/share/fonts/truetype/dejavu")
ARCS = ("CURVED TEXT AROUND", "GRAND HOTEL PARIS", "CITY OF GLASGOW", "FRESH BREAD DAILY")
PAN_FRAMES, PAN_PIXELS = 6, 4
"""Frames of a pan, and its speed in pixels per frame, which is also the motion's blur."""


class Reader:
    def __init__(self, detection: str) -> None:
        settings = schema.Text(detection=detection)  # type: ignore[arg-type]
        self._find, self._read = TextFinder(settings, "auto"), TextReader(settings, "auto")
        self.seconds = 0.0

    def __call__(self, pixels: Pixels) -> tuple[TextLine, ...]:
        began = time.process_time()
        picture = Still(pixels)
        [lines] = self._read([picture], self._find([picture]))
        self.seconds += time.process_time() - began
        return lines


def kinds(files: list[Path | None]) -> dict[str, Callable[[random.Random], Made]]:
    accented = [file for file in files if file is not None]  # Pillow's font is ASCII

    def display(chance: random.Random) -> Made:
        return made_text.display(made_text.number(chance), chance)

    return {
        "licence plates": lambda chance: made_text.plate(chance, files),
        "seven-segment displays": display,
        "single digits": lambda chance: made_text.singles(DIGITS, chance, files),
        "single capitals": lambda chance: made_text.singles(CAPITALS, chance, files),
        **(
            {"single accented": lambda chance: made_text.singles(ACCENTED, chance, accented)}
            if accented
            else {}
        ),
        "machine-readable zones": lambda chance: made_text.passport(chance, files),
        "text along an arc": lambda chance: made_text.arc(
            chance.choice(ARCS), chance.choice([150, 200, 250]), chance, chance.choice(files)
        ),
    }


def pan(pixels: Pixels, words: list[Written]) -> Iterator[tuple[Pixels, list[Written]]]:
    """Yield the frames of a pan to the right, blurred by it, each with its words."""
    kernel = np.full((1, PAN_PIXELS), 1 / PAN_PIXELS, np.float32)
    width = pixels.shape[1] - PAN_FRAMES * PAN_PIXELS
    blurred = np.asarray(cv2.filter2D(pixels, -1, kernel), np.uint8)
    for number in range(PAN_FRAMES):
        left = number * PAN_PIXELS
        moved = [Written(word.quad - np.array([left, 0], np.float32), word.text) for word in words]
        inside = [
            word
            if word.quad[:, 0].min() >= 0 and word.quad[:, 0].max() <= width
            else Written(word.quad, ILLEGIBLE)
            for word in moved
        ]
        yield np.ascontiguousarray(blurred[:, left : left + width]), inside


def video(read: Reader, samples: Path) -> Score:
    score = Score()
    for path, words in scenes(samples):
        for pixels, there in pan(image.read(path).bgr, words):
            found = [word for line in read(pixels) for word in line.words]
            score.add(
                there, [Written(np.array(each.quad, np.float32), each.text) for each in found]
            )
    return score


def main() -> None:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--images", type=int, default=60)
    arguments.add_argument("--fonts", type=Path, default=DEJAVU)
    arguments.add_argument("--detection", default="thorough", choices=["fast", "thorough"])
    chosen = arguments.parse_args()
    cv2.setNumThreads(1)
    print(measured_with("onnxruntime-openvino", "opencv-python-headless"))
    files: list[Path | None] = [None, *sorted(chosen.fonts.rglob("*.[to]tf"))]
    for name, make in kinds(files).items():
        read, right = Reader(chosen.detection), 0
        for number in range(chosen.images):
            pixels, lines = make(random.Random(number))
            found = [word.text for line in read(pixels) for word in line.words]
            right += found == [word for line in lines for word in line.split()]
        cost = 1000 * read.seconds / chosen.images
        print(f"{name:<24}{right / chosen.images:>8.3f}{cost:>10.0f} ms of CPU time")
    samples = Path(os.environ.get("ONLOOKER_SAMPLES", "none"))
    if samples.is_dir():
        read = Reader("fast")
        score = video(read, samples)
        cost = 1000 * read.seconds / (35 * PAN_FRAMES)
        print(
            f"{'words of a pan, fast':<24}{score.right / score.truth:>8.3f}{cost:>10.0f} ms; "
            f"end to end {score.end_to_end:.3f}"
        )


if __name__ == "__main__":
    main()
