"""Text of images, beside the packages of PyPI and Debian that read it.

Onlooker reads thoroughly, as DetectText does, and fast, as videos are read; on plain ONNX Runtime
and on OpenVINO (in bf16 if the processor has it). Beside it: RapidOCR 3.10.0 with its defaults and
the same models; the same with its two slow spots mended (denormal weights zeroed, memory arena on);
rapidocr-onnxruntime 1.4.4, rapidocr-paddle 1.4.5 and tesseract, if they are installed.

Everything runs on one core with one thread, the engines in turn on each image. Agreement is that of
characters with RapidOCR's defaults, in its own boxes and without spaces: for all lines, and for
those with a score of at least 0.95, because the others are often wrong.

    python -m bench.bench_text [--rounds 2]
    python -m bench.bench_text --accuracy      # words of street scenes with ground truth

The images are scenes, screens, menus and videos under $ONLOOKER_SAMPLES, and two pages in
scikit-image.
"""

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before NumPy is imported
os.environ["OMP_THREAD_LIMIT"] = "1"
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # before any library counts cores

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import rapidocr
import skimage.data
from bench.support.icdar import Score, Written, scenes
from bench.support.machine import measured_with
from numpy.typing import NDArray
from rapidocr import RapidOCR

from onlooker.config import schema
from onlooker.media import image
from onlooker.media.picture import Pixels, Still
from onlooker.media.video_file import VideoFile
from onlooker.models.convert.graph_edits import zero_denormals
from onlooker.vision.text_finder import TextFinder
from onlooker.vision.text_reader import TextReader

Read = Callable[[Pixels], list[Written]]
"""The text of an image: lines or words, with their quads."""

SCENES = 18
MOMENTS = (11.5, 15.0, 20.5, 23.0, 31.0)
"""Seconds into the video at which it shows text."""


def samples() -> Path:
    given = os.environ.get("ONLOOKER_SAMPLES")
    if not given or not Path(given).is_dir():
        print("there are no sample images: set ONLOOKER_SAMPLES to their folder")
        sys.exit()
    return Path(given)


def pictures(folder: Path) -> Iterator[tuple[str, Pixels]]:
    """Yield each image's name and BGR pixels."""
    shipped = Path(skimage.data.__file__).parent
    paths = [path for path, _ in scenes(folder)][::2][:SCENES]
    paths += sorted((folder / "text" / "other").glob("*.jpg"))
    paths += [folder / "faces/groups/aws_pexels/pexels-christina-morillo-1181671.jpg"]
    paths += [shipped / "page.png", shipped / "text.png"]
    for path in paths:
        yield path.name, image.read(path).bgr
    moments = list(MOMENTS)
    with VideoFile(folder / "video" / "googlework_short.mp4") as video:
        for frame, picture in video.frames("bench"):
            if moments and picture is not None and frame.time >= moments[0]:
                pixels, _ = picture.region(0, 0, picture.width, picture.height)
                yield f"video at {moments.pop(0)} s", pixels


class Onlooker:
    def __init__(self, detection: Any, provider: str) -> None:
        settings = schema.Text(detection=detection)
        self.find = TextFinder(settings, provider)
        self.read = TextReader(settings, provider)
        models = (self.find._model, self.read._recognised.recognisers[0].model)
        self.ran = " and ".join(f"{each.provider} {each.precision}" for each in models)

    def words(self, pixels: Pixels) -> list[Written]:
        # A new Still, and a reader that forgets: nothing is cached from the last time.
        self.read.forget()
        picture = Still(pixels)
        [found] = self.read([picture], self.find([picture]))
        return [
            Written(np.array(word.quad, np.float32), word.text)
            for line in found
            for word in line.words
        ]


def rapid(engine: Any, **options: Any) -> Read:
    """Return an engine of RapidOCR, newer or older."""

    def read(pixels: Pixels) -> list[Written]:
        found = engine(pixels, **options)
        if isinstance(found, tuple):
            pairs = [(quad, text) for quad, text, _ in found[0] or ()]
        elif options:
            # A line without text is one empty word instead of a list.
            lines = [line for line in found.word_results or () if line and line[0]]
            pairs = [(quad, text) for line in lines for text, _, quad in line if quad]
        else:
            pairs = [(quad, text) for quad, text, _ in scored(found)]
        return [Written(np.asarray(quad, np.float32), text) for quad, text in pairs]

    return read


def scored(found: Any) -> list[tuple[Any, str, float]]:
    """Return the quads, texts and scores of RapidOCR's result."""
    if found.boxes is None:
        return []
    return list(zip(found.boxes, found.txts, found.scores, strict=True))


ONE_THREAD = {
    "Global.log_level": "error",
    "EngineConfig.onnxruntime.intra_op_num_threads": 1,
    "EngineConfig.onnxruntime.inter_op_num_threads": 1,
}


def mended(folder: Path) -> RapidOCR:
    """Return RapidOCR with a detector without denormal weights and with its memory arena."""
    file = folder / "PP-OCRv6_det_small.onnx"
    model = onnx.load(Path(rapidocr.__file__).parent / "models" / file.name)
    zero_denormals(model)
    onnx.save(model, file)
    arena = {"EngineConfig.onnxruntime.enable_cpu_mem_arena": True}
    return RapidOCR(params={**ONE_THREAD, **arena, "Det.model_path": str(file)})


def tesseract(folder: Path) -> Read:
    """Return tesseract, a process per image as users run it; the file is written beforehand."""
    file = folder / "picture.png"

    def read(pixels: Pixels) -> list[Written]:
        command = ["tesseract", str(file), "-", "--psm", "11", "tsv"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        rows = [line.split("\t") for line in done.stdout.splitlines()[1:]]
        return [
            Written(_box(*map(int, row[6:10])), row[11])
            for row in rows
            if len(row) == 12 and row[11].strip()
        ]

    return read


def _box(x: int, y: int, width: int, height: int) -> NDArray[np.float32]:
    corners = [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]
    return np.array(corners, np.float32)


def ways(folder: Path) -> dict[str, Read]:
    """Return every engine that is installed; print the names of the others."""
    found: dict[str, Read] = {"rapidocr 3.10.0": rapid(RapidOCR(params=ONE_THREAD))}
    found["the same, mended"] = rapid(mended(folder))
    for name, options in (
        ("rapidocr_onnxruntime", {"intra_op_num_threads": 1, "inter_op_num_threads": 1}),
        ("rapidocr_paddle", {"cpu_math_library_num_threads": 1}),
    ):
        if find_spec(name) is None or (name.endswith("paddle") and find_spec("paddle") is None):
            print(f"{name} is not installed, and is left out: pip install {name}")
            continue
        module = __import__(name)
        found[f"{name} {_version(name)}"] = rapid(module.RapidOCR(**options))
    if shutil.which("tesseract"):
        said = subprocess.run(["tesseract", "--version"], capture_output=True, text=True)
        found[" ".join(said.stdout.split()[:2])] = tesseract(folder)
    else:
        print("tesseract is not installed, and is left out: apt install tesseract-ocr")
    for provider, name in (("cpu", "ONNX Runtime"), ("openvino", "OpenVINO")):
        for detection in ("thorough", "fast"):
            engine = Onlooker(detection, provider)
            print(f"onlooker {detection} on {name}: ran on {engine.ran}")
            found[f"onlooker {detection}, {name}"] = engine.words
    return found


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "?"


SURE = 0.95


def latin(text: str) -> bool:
    return all(ord(character) < 0x250 or 0x2010 <= ord(character) < 0x2040 for character in text)


def agreement(theirs: list[list[Written]], ours: list[list[Written]]) -> float:
    """Return the share of characters of their Latin lines that ours have in the same place."""
    wrong = total = 0
    for their_lines, our_words in zip(theirs, ours, strict=True):
        for quad, text in their_lines:
            if not latin(text):
                continue
            inside = [each for each in our_words if _holds(quad, each.quad)]
            across = quad[1] - quad[0]
            inside.sort(key=lambda each: float(each.quad.mean(0) @ across))
            said = "".join(each.text for each in inside).replace(" ", "")
            wanted = text.replace(" ", "")
            wrong += distance(wanted, said)
            total += max(len(wanted), len(said))
    return 1 - wrong / total


def _holds(quad: NDArray[np.float32], other: NDArray[np.float32]) -> bool:
    middle = other.mean(0).tolist()
    return cv2.pointPolygonTest(quad.reshape(-1, 1, 2), middle, False) >= 0


def distance(a: str, b: str) -> int:
    """Return the Levenshtein distance."""
    row = list(range(len(b) + 1))
    for i, one in enumerate(a, 1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(b, 1):
            diagonal, row[j] = (
                row[j],
                min(row[j] + 1, row[j - 1] + 1, diagonal + (one != other)),
            )
    return row[-1]


def speed(rounds: int) -> None:
    shown = list(pictures(samples()))
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        engines = ways(folder)
        times: dict[str, list[list[float]]] = {name: [[] for _ in shown] for name in engines}
        answers: dict[str, list[list[Written]]] = {name: [] for name in engines}
        for read in engines.values():  # sessions allocate at their first run
            cv2.imwrite(str(folder / "picture.png"), shown[0][1])
            read(shown[0][1])
        for turn in range(rounds):
            for number, (_, pixels) in enumerate(shown):
                cv2.imwrite(str(folder / "picture.png"), pixels)
                for name, read in engines.items():
                    begin = time.perf_counter()
                    found = read(pixels)
                    times[name][number].append(time.perf_counter() - begin)
                    if turn == 0:
                        answers[name].append(found)
    first, second = list(engines)[:2]
    mean = {
        name: statistics.mean(statistics.median(each) for each in table)
        for name, table in times.items()
    }
    engine = RapidOCR(params=ONE_THREAD)
    sure = [surely(engine, pixels) for _, pixels in shown]
    print(f"\n{len(shown)} images, {rounds} rounds{'agreement':>67}")
    print(f"{'':<34}{'ms per image':>13}{'ratio':>8}{'to mended':>11}{'with all':>11}{'sure':>8}")
    for name in engines:
        agreed = [agreement(each, answers[name]) for each in (answers[first], sure)]
        print(
            f"{name:<34}{1000 * mean[name]:>13.1f}{mean[first] / mean[name]:>8.2f}"
            f"{mean[second] / mean[name]:>11.2f}{agreed[0]:>11.3f}{agreed[1]:>8.3f}"
        )
    itself = [moved(engines[first], pixels) for _, pixels in shown]
    agreed = [agreement(each, itself) for each in (answers[first], sure)]
    print(f"{first}, the image moved by one pixel{agreed[0]:>41.3f}{agreed[1]:>8.3f}")


def moved(read: Read, pixels: Pixels) -> list[Written]:
    """Return the text of the image moved by one pixel, with its quads moved back."""
    wider = cv2.copyMakeBorder(pixels, 1, 0, 1, 0, cv2.BORDER_REPLICATE)
    same_size = np.ascontiguousarray(wider[: pixels.shape[0], : pixels.shape[1]], np.uint8)
    return [Written(each.quad - 1, each.text) for each in read(same_size)]


def surely(engine: RapidOCR, pixels: Pixels) -> list[Written]:
    """Return RapidOCR's confident lines."""
    return [
        Written(np.asarray(quad, np.float32), text)
        for quad, text, score in scored(engine(pixels))
        if score >= SURE
    ]


def accuracy() -> None:
    truth = list(scenes(samples()))
    engines: dict[str, Read] = {
        "rapidocr 3.10.0": rapid(RapidOCR(params=ONE_THREAD), return_word_box=True),
        "onlooker thorough": Onlooker("thorough", "auto").words,
        "onlooker fast": Onlooker("fast", "auto").words,
    }
    print(f"{len(truth)} street scenes of ICDAR 2015, words, at an overlap of one half")
    print(f"{'':<24}{'detection':>10}{'read too':>10}{'overlap':>9}{'found':>7}{'right':>7}")
    for name, read in engines.items():
        score = Score()
        for path, words in truth:
            score.add(words, read(image.read(path).bgr))
        print(
            f"{name:<24}{score.detection:>10.3f}{score.end_to_end:>10.3f}{score.overlap:>9.3f}"
            f"{score.placed:>7}{score.right:>7}"
        )
    print(f"of {score.truth} words that people can read")


def main() -> None:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--rounds", type=int, default=2)
    arguments.add_argument("--accuracy", action="store_true", help="against the truth instead")
    chosen = arguments.parse_args()
    cv2.setNumThreads(1)
    print(measured_with("onnxruntime-openvino", "opencv-python-headless", "rapidocr"))
    if chosen.accuracy:
        accuracy()
    else:
        speed(chosen.rounds)


if __name__ == "__main__":
    main()
