"""Words of street scenes that a camera pans over: what the readings of the whole video say.

Each scene is a short video in its own size, blurred by its motion, that goes through the whole
pipeline. Words that are in all of its frames are compared with the words of the readings that the
log has at the end, and, beside that, with those of single frames.

    python -m bench.bench_panned_text [--frames 16] [--blur 4]

The scenes are ICDAR 2015's under $ONLOOKER_SAMPLES. Two ways of counting are printed. Strict: all
words that people can read; text that covers a third of a word that nobody can read excuses one
reading. As ICDAR: words of fewer than three letters and digits, or with other characters between
them, do not count either, and nor does a reading that lies by more than half in words that do not
count. `--blur` is in pixels: 4 is a shutter that never closes, 2 that of most cameras, and 1 no
blur. Above all stands the reader's own limit: the share of the words in single frames that it reads
if it is told where they are.
"""

import argparse
import os
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before NumPy is imported

import av
import cv2
import numpy as np
from bench.support.icdar import ILLEGIBLE, Floats, Written, bare, scenes
from bench.support.machine import measured_with
from tests.support import steps

from onlooker.config.schema import Config, Faces
from onlooker.media import image
from onlooker.media.picture import Pixels, Still
from onlooker.record.log.reader import Log
from onlooker.rekognition.shapes import Geometry, Reading
from onlooker.stream.inline import inline
from onlooker.stream.outputs import Outputs
from onlooker.types import TextQuad
from onlooker.vision.text_lines import as_quad
from onlooker.vision.text_reader import TextReader

FPS, PIXELS = 10, 4
"""Frames a second, and the speed of the camera in pixels per frame."""

Found = tuple[str, Geometry, int]
"""A text, its place, and the index of the frame of that place."""


class Score:
    """Words right, missed and wrong, by one of the two ways of counting."""

    def __init__(self, as_icdar: bool) -> None:
        self.as_icdar = as_icdar
        self.right = self.truth = self.read = 0

    def add(self, words: Sequence[Written], found: Sequence[Found], size: tuple[int, int]) -> None:
        """Compare a scene's words with what was read, in any order."""
        width, height = size
        if self.as_icdar:
            words = [
                each if _counts(each.text) else Written(each.quad, ILLEGIBLE) for each in words
            ]
        wanted = Counter(bare(word.text) for word in words if word.text != ILLEGIBLE)
        illegible = [word.quad for word in words if word.text == ILLEGIBLE]
        self.truth += wanted.total()
        for text, geometry, index in found:
            corners = [[p.X * width + index * PIXELS, p.Y * height] for p in geometry.Polygon]
            line = np.array(corners, np.float32)
            excused = 0 if self.as_icdar else sum(_over(line, each) for each in illegible)
            for written, quad in _words(text, line):
                word = bare(written)
                if not word:
                    continue
                if wanted[word]:
                    wanted[word] -= 1
                    self.right += 1
                    self.read += 1
                elif excused:
                    excused -= 1
                elif not (self.as_icdar and _within(quad, illegible)):
                    self.read += 1

    def __str__(self) -> str:
        recall, precision = self.right / max(self.truth, 1), self.right / max(self.read, 1)
        return f"words read {recall:.3f}, precision {precision:.3f} ({self.truth} words)"


def _counts(word: str) -> bool:
    return len(bare(word)) >= 3 and bare(word).isalnum()


def _words(text: str, line: Floats) -> Iterator[tuple[str, Floats]]:
    """Yield the words of a line, each with its share of the line's quad."""
    a, b, c, d = line
    at = 0
    for word in text.split(" "):
        start, end = at / len(text), (at + len(word)) / len(text)
        at += len(word) + 1
        top, foot = b - a, c - d
        corners = [a + start * top, a + end * top, d + end * foot, d + start * foot]
        yield word, np.array(corners, np.float32)


def _within(quad: Floats, others: Sequence[Floats]) -> bool:
    shared = sum(float(cv2.intersectConvexConvex(quad, other)[0]) for other in others)
    return shared > abs(cv2.contourArea(quad)) / 2


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


def _over(quad: Floats, illegible: Floats) -> bool:
    shared, _ = cv2.intersectConvexConvex(quad, illegible)
    return bool(shared > 0.3 * abs(cv2.contourArea(illegible)))


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--scenes", type=int, default=1000)
    parser.add_argument("--blur", type=int, default=PIXELS)
    parser.add_argument("--samples", default=os.environ.get("ONLOOKER_SAMPLES", "../shared/data"))
    asked = parser.parse_args()
    print(measured_with())
    config = Config(faces=Faces(enabled=False))
    told = {"readings of the video": False, "readings, as ICDAR": True}
    scores = {name: Score(as_icdar) for name, as_icdar in told.items()}
    singles = {"single frames": Score(False), "single frames, as ICDAR": Score(True)}
    limit = Limit(config)
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
                readings = [visit.event for visit in log.visits(Reading)]
                records = list(log.read())
            seen = [(one.DetectedText, one.Geometry, round(one.Time * FPS)) for one in readings]
            for score in scores.values():
                score.add(there, seen, size)
            for record in records:
                index = record.FrameInformation.Index
                lines = [each for each in record.TextDetections if each.Type == "LINE"]
                for score in singles.values():
                    score.add(there, [(e.DetectedText, e.Geometry, index) for e in lines], size)
    print(f"{'told where they are':<25} {limit}")
    for title, score in {**scores, **singles}.items():
        print(f"{title:<25} {score}")


if __name__ == "__main__":
    main()
