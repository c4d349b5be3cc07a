"""Words of street scenes that a camera pans over: what the readings of the whole video say.

Each scene is a short video, blurred by its motion, that goes through the whole pipeline. Words that
are in all of its frames are compared with the words of the readings that the log has at the end,
and, beside that, with those of single frames.

    python -m bench.bench_panned_text [--frames 16]

The scenes are ICDAR 2015's under $ONLOOKER_SAMPLES. A word that nobody could read counts neither
for nor against.
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
from bench.support.icdar import ILLEGIBLE, Written, bare, scenes
from bench.support.machine import measured_with
from tests.support import steps

from onlooker.config.schema import Config, Faces
from onlooker.media import image
from onlooker.media.picture import Pixels
from onlooker.record.log.reader import Log
from onlooker.rekognition.shapes import Geometry, Reading
from onlooker.stream.inline import inline
from onlooker.stream.outputs import Outputs

FPS, PIXELS = 10, 4
"""Frames a second, and the speed of the camera in pixels per frame, which is the blur as well."""

Found = tuple[str, Geometry, int]
"""A text, its place, and the index of the frame of that place."""


class Score:
    """Words right, missed and wrong."""

    def __init__(self) -> None:
        self.right = self.truth = self.read = 0

    def add(self, words: Sequence[Written], found: Sequence[Found], size: tuple[int, int]) -> None:
        """Compare a scene's words with what was read, in any order."""
        width, height = size
        wanted = Counter(bare(word.text) for word in words if word.text != ILLEGIBLE)
        self.truth += wanted.total()
        for text, geometry, index in found:
            corners = [[p.X * width + index * PIXELS, p.Y * height] for p in geometry.Polygon]
            quad = np.array(corners, np.float32)
            excused = sum(_over(quad, word.quad) for word in words if word.text == ILLEGIBLE)
            for word in filter(None, map(bare, text.split())):
                if wanted[word]:
                    wanted[word] -= 1
                    self.right += 1
                    self.read += 1
                elif excused:
                    excused -= 1
                else:
                    self.read += 1

    def __str__(self) -> str:
        recall, precision = self.right / max(self.truth, 1), self.right / max(self.read, 1)
        return f"words read {recall:.3f}, precision {precision:.3f} ({self.truth} words)"


def _over(quad: np.typing.NDArray[np.float32], illegible: np.typing.NDArray[np.float32]) -> bool:
    shared, _ = cv2.intersectConvexConvex(quad, illegible)
    return bool(shared > 0.3 * abs(cv2.contourArea(illegible)))


def make_video(path: Path, pixels: Pixels, frames: int) -> tuple[int, int]:
    """Write a pan to the right; return the width and height of its frames."""
    kernel = np.full((1, PIXELS), 1 / PIXELS, np.float32)
    blurred = np.asarray(cv2.filter2D(pixels, -1, kernel), np.uint8)
    width, height = (pixels.shape[1] - frames * PIXELS) & ~1, pixels.shape[0] & ~1
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
    parser.add_argument("--samples", default=os.environ.get("ONLOOKER_SAMPLES", "../shared/data"))
    asked = parser.parse_args()
    print(measured_with())
    config = Config(faces=Faces(enabled=False))
    voted, single = Score(), Score()
    with tempfile.TemporaryDirectory() as name:
        found = list(scenes(Path(asked.samples)))[: asked.scenes]
        for number, (path, words) in enumerate(found):
            video = Path(name) / f"{number}.mp4"
            size = make_video(video, image.read(path).bgr, asked.frames)
            there = inside(words, size[0], asked.frames)
            outputs = Outputs(records=video.with_suffix(".jsonl"))
            inline([video], config, outputs, steps.quiet)
            with Log(outputs.log_path) as log:
                readings = [visit.event for visit in log.visits(Reading)]
                records = list(log.read())
            voted.add(
                there,
                [(one.DetectedText, one.Geometry, round(one.Time * FPS)) for one in readings],
                size,
            )
            for record in records:
                index = record.FrameInformation.Index
                lines = [each for each in record.TextDetections if each.Type == "LINE"]
                single.add(there, [(e.DetectedText, e.Geometry, index) for e in lines], size)
    print(f"readings of the video: {voted}")
    print(f"single frames:         {single}")


if __name__ == "__main__":
    main()
