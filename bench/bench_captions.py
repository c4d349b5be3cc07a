"""Captions burned into a video from a list with times, and what Onlooker reads of them.

The way of measuring is that of SubtitleEdit's (pull requests 12270 and 14138 of its repository): a
list of captions with their times is drawn into a moving scene, and the readings of the whole
pipeline are compared with the list.

    python -m bench.bench_captions [--captions 60]

Exact: the reading is the caption, character by character. Missed: nothing like it was read at that
time. Phantom: a reading that is no caption, or a second one of the same. Times are right if start
and end are within one frame.
"""

import argparse
import os
import tempfile
from collections.abc import Iterator
from difflib import SequenceMatcher
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before NumPy is imported

import av
import cv2
import numpy as np
import skimage.data
from bench.support.machine import measured_with
from PIL import Image, ImageDraw, ImageFont
from tests.support import steps

from onlooker.config.schema import Config, Faces
from onlooker.media import image
from onlooker.media.picture import Pixels
from onlooker.record.log.reader import Log
from onlooker.rekognition.shapes import Reading
from onlooker.stream.inline import inline
from onlooker.stream.outputs import Outputs

FPS, WIDTH, HEIGHT = 10, 960, 540
SIZE = 30
"""Height of the font in pixels: an eighteenth of the image, as subtitles have it."""
LIKE = 0.6
"""Similarity from which a reading is one of a caption."""
PAUSES = (0.0, 0.0, 0.3, 0.8, 1.5)
"""Seconds between two captions."""
WORDS = str.split(
    "the door was open when we came and nobody had seen him since Friday morning she said it "
    "would take three hours to reach the harbour before dark but the last train left at noon "
    "where did you put my keys I never told anyone about the letter from London did I"
)
ENDS = (".", ".", "?", "!", ",", "...", "")
FONT = "DejaVuSans.ttf"
PLACES = ("/usr/share/fonts", "/usr/local/share/fonts", "~/.fonts", "/System/Library/Fonts")


class Caption(NamedTuple):
    """A line of text from frame `start` to frame `end`, inclusive."""

    text: str
    start: int
    end: int


def listed(number: int, chance: np.random.Generator) -> list[Caption]:
    """Return captions one after the other, some without a pause, with figures and punctuation."""
    found, at = [], FPS
    for _ in range(number):
        words = [str(chance.choice(WORDS)) for _ in range(int(chance.integers(2, 8)))]
        if chance.uniform() < 0.2:
            words[-1] = str(int(chance.integers(10, 3000)))
        text = " ".join(words) + str(chance.choice(ENDS))
        text = text[0].upper() + text[1:]
        frames = round(float(chance.uniform(1.0, 2.6)) * FPS)
        found.append(Caption(text, at, at + frames - 1))
        at += frames + round(float(chance.choice(PAUSES)) * FPS)
    return found


def make_video(path: Path, captions: list[Caption], chance: np.random.Generator) -> None:
    """Write the video: a photograph that is panned, with grain, and the captions in it."""
    fonts = [each for place in PLACES for each in Path(place).expanduser().rglob(FONT)]
    letters = ImageFont.truetype(str(fonts[0]), SIZE)
    scenes = [_scene(name) for name in ("coffee.png", "chelsea.png")]
    shown = {index: each for each in captions for index in range(each.start, each.end + 1)}
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"crf": "20"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for index in range(captions[-1].end + FPS):
            scene = scenes[index // (20 * FPS) % len(scenes)]
            left = round(60 + 55 * np.sin(index / 25))
            frame = scene[40 : 40 + HEIGHT, left : left + WIDTH] + chance.normal(
                0, 3, (HEIGHT, WIDTH, 3)
            )
            drawn = Image.fromarray(np.clip(frame, 0, 255).astype(np.uint8))
            if index in shown:
                ImageDraw.Draw(drawn).text(
                    (WIDTH / 2, HEIGHT - 45),
                    shown[index].text,
                    font=letters,
                    anchor="ms",
                    fill="white",
                    stroke_width=2,
                    stroke_fill="black",
                )
            made = av.VideoFrame.from_ndarray(np.asarray(drawn), format="bgr24")
            made.pts, made.time_base = index, Fraction(1, FPS)
            container.mux(stream.encode(made))
        container.mux(stream.encode())


def _scene(name: str) -> Pixels:
    picture = image.read(Path(skimage.data.__file__).parent / name)
    pixels, _ = picture.region(0, 0, picture.width, picture.height)
    return np.asarray(cv2.resize(pixels, (WIDTH + 120, HEIGHT + 80)), np.uint8)


def readings(video: Path) -> list[Reading]:
    """Return what the pipeline reads in a video."""
    outputs = Outputs(records=video.with_suffix(".jsonl"))
    inline([video], Config(faces=Faces(enabled=False)), outputs, steps.quiet)
    with Log(outputs.log_path) as log:
        return [visit.event for visit in log.visits(Reading)]


def pairs(captions: list[Caption], found: list[Reading]) -> Iterator[tuple[Caption, Reading]]:
    """Yield captions with their readings, each once, the most alike first."""
    ranked = sorted(
        (
            (SequenceMatcher(None, caption.text, reading.DetectedText).ratio(), row, column)
            for row, caption in enumerate(captions)
            for column, reading in enumerate(found)
            if reading.Start <= (caption.end + 1) / FPS and reading.End >= (caption.start - 1) / FPS
        ),
        key=lambda each: (-each[0], each[1:]),
    )
    rows, columns = set[int](), set[int]()
    for ratio, row, column in ranked:
        if ratio >= LIKE and row not in rows and column not in columns:
            rows.add(row)
            columns.add(column)
            yield captions[row], found[column]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--captions", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    print(measured_with())
    chance = np.random.default_rng(asked.seed)
    captions = listed(asked.captions, chance)
    with tempfile.TemporaryDirectory() as name:
        video = Path(name) / "captions.mp4"
        make_video(video, captions, chance)
        found = readings(video)
    matched = list(pairs(captions, found))
    read = dict(matched)
    exact = timed = 0
    for caption in captions:
        reading = read.get(caption)
        if reading is None:
            print(f"missed    {caption.text!r} in frames {caption.start} to {caption.end}")
            continue
        exact += reading.DetectedText == caption.text
        ends = round(reading.Start * FPS) - caption.start, round(reading.End * FPS) - caption.end
        timed += max(map(abs, ends)) <= 1
        if reading.DetectedText != caption.text:
            print(f"not exact {caption.text!r}: {reading.DetectedText!r}")
        if max(map(abs, ends)) > 1:
            print(f"times     {caption.text!r}: {ends[0]:+d} and {ends[1]:+d} frames")
    known = {reading.ReadingId for _, reading in matched}
    for reading in found:
        if reading.ReadingId not in known:
            print(f"phantom   {reading.DetectedText!r} from {reading.Start:g} to {reading.End:g} s")
    number = len(captions)
    print(f"{number} captions, {len(found)} readings")
    print(f"exact {exact / number:.3f}, missed {1 - len(matched) / number:.3f}")
    print(f"phantom {(len(found) - len(matched)) / number:.3f}")
    print(f"start and end within one frame {timed / number:.3f}")


if __name__ == "__main__":
    main()
