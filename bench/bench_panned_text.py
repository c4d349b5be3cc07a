"""Words of street scenes that a camera pans over: what the readings of the whole video say.

Each scene is a short video in its own size, blurred by its motion, that goes through the whole
pipeline. Words that are in all of its frames are compared with the words of the readings that the
log has at the end, and, beside that, with those of single frames.

    python -m bench.bench_panned_text [--frames 16] [--blur 4]

The scenes are ICDAR 2015's under $ONLOOKER_SAMPLES. Two ways of counting are printed. In both a
wrong word does not count if it lies by more than half in words that nobody can read, or that are
not whole in every frame. Usually all words that people can read count, and a line over a third of a
word that nobody can read excuses one wrong word. As ICDAR: words of fewer than three letters and
digits, or with other characters between them, count no more than those that nobody can read.
`--blur` is in pixels: 4 is a shutter that never closes, 2 that of most cameras, and 1 no blur.
Above all stands the reader's own limit: the share of the words in single frames that it reads if it
is told where they are. At the end stand the causes for which words were missed, and the kinds of
those that are wrong.
"""

import argparse
import os
import tempfile
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before NumPy is imported

import av
import cv2
import numpy as np
from bench.support.icdar import ILLEGIBLE, Floats, Written, bare, scenes
from bench.support.machine import measured_with
from bench.support.panned_words import Score, cause, counted, kind
from tests.support import steps

from onlooker.config.schema import Config, Faces
from onlooker.media import image
from onlooker.media.picture import Pixels, Still
from onlooker.record.log.reader import Log
from onlooker.rekognition.shapes import Geometry, Reading
from onlooker.stream.inline import inline
from onlooker.stream.outputs import Outputs
from onlooker.types import TextQuad
from onlooker.vision.text_finder import TextFinder
from onlooker.vision.text_lines import as_quad
from onlooker.vision.text_reader import TextReader

FPS, PIXELS = 10, 4
"""Frames a second, and the speed of the camera in pixels per frame."""
SEARCHED = 4
"""One of so many frames is searched to tell what is detected but cannot be read."""


class Limit:
    """The share of the words that the reader reads if it is told where they are."""

    def __init__(self, config: Config) -> None:
        self._read = TextReader(config.text, config.runtime.provider)
        self.right = self.truth = 0

    def add(self, pixels: Pixels, words: Sequence[Written]) -> None:
        legible = [word for word in words if word.text != ILLEGIBLE]
        quads = [TextQuad(quad=as_quad(word.quad), score=1.0) for word in legible]
        [found] = self._read.read([Still(pixels)], [quads])
        self.truth += len(legible)
        self.right += sum(
            bare(" ".join(line.text for line in lines)) == bare(word.text)
            for word, lines in zip(legible, found, strict=True)
        )

    def __str__(self) -> str:
        return f"words read {self.right / max(self.truth, 1):.3f} ({self.truth} words)"


def blurred_by(pixels: Pixels, blur: int) -> Pixels:
    kernel = np.full((1, blur), 1 / blur, np.float32)
    return np.asarray(cv2.filter2D(pixels, -1, kernel), np.uint8)


def make_video(path: Path, blurred: Pixels, frames: int) -> tuple[int, int]:
    """Write a pan to the right; return the width and height of its frames."""
    width, height = (blurred.shape[1] - frames * PIXELS) & ~1, blurred.shape[0] & ~1
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"crf": "18"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for index in range(frames):
            cut = blurred[:height, index * PIXELS : index * PIXELS + width]
            made = av.VideoFrame.from_ndarray(np.ascontiguousarray(cut), format="bgr24")
            made.pts, made.time_base = index, Fraction(1, FPS)
            container.mux(stream.encode(made))
        container.mux(stream.encode())
    return width, height


def inside(words: Sequence[Written], width: int, frames: int) -> list[Written]:
    """Return the words, those that are not whole in every frame as illegible."""
    first = (frames - 1) * PIXELS
    return [
        word
        if word.quad[:, 0].min() >= first and word.quad[:, 0].max() <= width
        else Written(word.quad, ILLEGIBLE)
        for word in words
    ]


def located(text: str, place: Geometry, index: int, size: tuple[int, int]) -> Written:
    """Return a line of frame `index` at its place in the scene."""
    corners = [[p.X * size[0] + index * PIXELS, p.Y * size[1]] for p in place.Polygon]
    return Written(np.array(corners, np.float32), text)


class Detected:
    """The regions in which text is detected at all, read or not."""

    def __init__(self, config: Config) -> None:
        self._find = TextFinder(config.text, config.runtime.provider)

    def __call__(self, blurred: Pixels, size: tuple[int, int], frames: int) -> list[Floats]:
        width, height = size
        regions: list[Floats] = []
        for index in range(0, frames, SEARCHED):
            left = index * PIXELS
            picture = Still(np.ascontiguousarray(blurred[:height, left : left + width]))
            usual, finer = self._find([picture, picture], [False, True])
            move = np.array([left, 0], np.float32)
            regions += [np.array(each.quad, np.float32) + move for each in (*usual, *finer)]
        return regions


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--scenes", type=int, default=1000)
    parser.add_argument("--blur", type=int, default=PIXELS)
    parser.add_argument("--samples", default=os.environ.get("ONLOOKER_SAMPLES", "../shared/data"))
    asked = parser.parse_args()
    print(measured_with())
    config = Config(faces=Faces(enabled=False))
    readings, as_icdar = Score(), Score(as_icdar=True)
    halves = Score(), Score()
    single, single_as_icdar = Score(), Score(as_icdar=True)
    limit, detected = Limit(config), Detected(config)
    causes: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as name:
        found = list(scenes(Path(asked.samples)))[: asked.scenes]
        for number, (path, words) in enumerate(found):
            video = Path(name) / f"{number}.mp4"
            blurred = blurred_by(image.read(path).bgr, asked.blur)
            size = make_video(video, blurred, asked.frames)
            there = inside(words, size[0], asked.frames)
            limit.add(blurred, there)
            outputs = Outputs(records=video.with_suffix(".jsonl"))
            inline([video], config, outputs, steps.quiet)
            with Log(outputs.log_path) as log:
                told = [visit.event for visit in log.visits(Reading)]
                records = list(log.read())
            seen = [
                located(one.DetectedText, one.Geometry, round(one.Time * FPS), size) for one in told
            ]
            frames = [
                [
                    located(line.DetectedText, line.Geometry, record.FrameInformation.Index, size)
                    for line in record.TextDetections
                    if line.Type == "LINE"
                ]
                for record in records
            ]
            judged = readings.add(there, seen)
            as_icdar.add(there, seen)
            halves[number % 2].add(there, seen)
            for lines in frames:
                single.add(there, lines)
                single_as_icdar.add(there, lines)
            regions = detected(blurred, size, asked.frames) if judged.missed else []
            causes.update(cause(word, frames, seen, regions) for word in judged.missed)
            kinds.update(kind(word, there) for word in judged.wrong)
    print(f"{'told where they are':<25} {limit}")
    for title, score in (
        ("readings of the video", readings),
        ("of the even scenes", halves[0]),
        ("of the odd scenes", halves[1]),
        ("readings, as ICDAR", as_icdar),
        ("single frames", single),
        ("single frames, as ICDAR", single_as_icdar),
    ):
        print(f"{title:<25} {score}")
    print(f"{readings.truth - readings.right} words were missed:\n{counted(causes)}")
    print(f"{readings.wrong} words are wrong; of the word at their place:\n{counted(kinds)}")


if __name__ == "__main__":
    main()
