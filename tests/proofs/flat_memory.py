"""Proof that the memory of an analyser is bounded, whatever the sizes of its images.

Images of ever new sizes, with faces and with text of any width, go through all models. Each comes
as a JPEG from this process, so that the one that is measured does nothing but analyse: as an
analyser of its own, or as a process of `onlooker serve` with one thread, which is asked DetectText
and DetectFaces by turns.

    python -m tests.proofs.flat_memory [--provider openvino] [--images 3000] [--through api]
        [--detection fast] [--size 640x360] [--photographs FOLDER]

It prints the resident size and the time of the processor as they grow. Exits with 1 if the size is
above the limit at the end, or has grown by more than MAX_GROWTH_MB over the last third.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import skimage
from tests.support.server import running

from onlooker.media.picture import Pixels

MAX_MB = {"auto": 700, "openvino": 700, "cpu": 550}
"""Megabytes that a process with one analyser may hold, by provider."""
MAX_GROWTH_MB = 10
"""Megabytes that it may grow by over the last third of the images."""
SIDES = (96, 1200)
"""Pixels of an image's sides, which are independent of each other."""
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

Analyse = Callable[[bytes], tuple[int, int]]
"""Return the numbers of faces and of words in a JPEG."""


def jpegs(
    number: int, photographs: Sequence[Pixels], seed: int, size: tuple[int, int] | None
) -> Iterator[bytes]:
    """Yield images: a part of a photograph each, two in three with text on it.

    size: width and height in pixels of all images; None means that they are random.
    """
    rng = np.random.default_rng(seed)
    low, high = np.log(SIDES)
    for n in range(number):
        width, height = size or np.exp(rng.uniform(low, high, 2)).astype(int).tolist()
        canvas = _part(photographs[n % len(photographs)], width, height, rng)
        for _ in range(int(rng.integers(0, 12)) * (n % 3 > 0)):
            word = "".join(rng.choice(list(LETTERS), int(rng.integers(1, 24))))
            place = (int(rng.integers(0, max(1, width // 2))), int(rng.integers(10, height)))
            grey = int(rng.integers(0, 2)) * 255
            cv2.putText(canvas, word, place, int(rng.integers(0, 5)), float(rng.uniform(0.3, 2.5)),
                        (grey,) * 3, int(rng.integers(1, 4)), cv2.LINE_AA)  # fmt: skip
        yield cv2.imencode(".jpg", canvas)[1].tobytes()


def _part(photograph: Pixels, width: int, height: int, rng: np.random.Generator) -> Pixels:
    """Return a random part of a photograph, resized to `width` x `height`."""
    rows, columns = photograph.shape[:2]
    zoom = min(columns / width, rows / height) * float(rng.uniform(0.5, 1))
    wide, high = max(1, int(width * zoom)), max(1, int(height * zoom))
    x, y = int(rng.integers(0, columns - wide + 1)), int(rng.integers(0, rows - high + 1))
    part = photograph[y : y + high, x : x + wide]
    return np.ascontiguousarray(cv2.resize(part, (width, height)), np.uint8)


def photographs(folder: Path | None) -> list[Pixels]:
    """Return scikit-image's photographs, or those of a folder and of the folders in it."""
    if folder is None:
        names = ("astronaut", "coffee", "chelsea", "rocket")
        rgb = [getattr(skimage.data, name)() for name in names]
        return [np.asarray(cv2.cvtColor(each, cv2.COLOR_RGB2BGR), np.uint8) for each in rgb]
    files = sorted(each for each in folder.rglob("*") if each.suffix in (".jpg", ".png"))
    found = [cv2.imread(str(each)) for each in files[:: max(1, len(files) // 100)]]
    return [np.asarray(each, np.uint8) for each in found if each is not None]


def configuration(provider: str, detection: str) -> str:
    """Return a configuration file."""
    thorough = str(detection == "thorough").lower()
    return f"""
runtime.provider = "{provider}"
faces.detection = "{detection}"
text.detection = "{detection}"
serve.threads = 1
serve.thorough = {thorough}
"""


@contextmanager
def through_analyser(config: str) -> Iterator[tuple[int, Analyse]]:
    """Yield the id of a process with an analyser, and the way through it."""
    command = [sys.executable, "-m", "tests.support.analyser_process"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        into, answers = process.stdin, process.stdout

        def send(data: bytes) -> None:
            into.write(len(data).to_bytes(4) + data)
            into.flush()

        def ask(jpeg: bytes) -> tuple[int, int]:
            send(jpeg)
            faces, words = map(int, answers.readline().split())
            return faces, words

        send(config.encode())
        yield process.pid, ask
        send(b"")


@contextmanager
def through_api(config: str) -> Iterator[tuple[int, Analyse]]:
    """Yield the id of a process of `onlooker serve`, and the way through it."""
    with tempfile.TemporaryDirectory() as folder, running(Path(folder), config) as server:
        client = server.client()
        [process] = server.workers()

        def ask(jpeg: bytes) -> tuple[int, int]:
            given = {"Bytes": jpeg}
            faces = client.detect_faces(Image=given, Attributes=["ALL"])["FaceDetails"]
            found = client.detect_text(Image=given)["TextDetections"]
            return len(faces), sum(each["Type"] == "WORD" for each in found)

        yield process, ask


def resident_mb(process: int) -> float:
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def processor_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def sides(text: str) -> tuple[int, int]:
    """Return the width and height that `640x360` names."""
    width, height = map(int, text.split("x"))
    return width, height


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--provider", choices=list(MAX_MB), default="auto")
    parser.add_argument("--images", type=int, default=3000)
    parser.add_argument("--through", choices=["analyser", "api"], default="analyser")
    parser.add_argument("--detection", default="thorough")
    parser.add_argument(
        "--size", type=sides, help="of all images, as of the frames of a stream: 640x360"
    )
    parser.add_argument("--photographs", type=Path, help="a folder of photographs to use")
    parser.add_argument("--max-minutes", type=float, default=120)
    asked = parser.parse_args()
    ways = {"analyser": through_analyser, "api": through_api}
    end = time.monotonic() + 60 * asked.max_minutes
    sizes: list[float] = []
    faces = words = 0
    with ways[asked.through](configuration(asked.provider, asked.detection)) as (process, analyse):
        began = processor_seconds(process)
        for jpeg in jpegs(asked.images, photographs(asked.photographs), 6, asked.size):
            more_faces, more_words = analyse(jpeg)
            faces, words = faces + more_faces, words + more_words
            sizes.append(resident_mb(process))
            if len(sizes) % max(1, asked.images // 12) == 0:
                took = processor_seconds(process) - began
                print(f"{len(sizes)} images, {faces} faces, {words} words, {sizes[-1]:.0f} MB, "
                      f"{took:.0f} s of a core", flush=True)  # fmt: skip
            if time.monotonic() > end:
                print(f"{len(sizes)} of {asked.images} images in {asked.max_minutes:g} minutes")
                return 1
    # A single image may need more for a moment.
    third = len(sizes) // 3
    size = float(np.median(sizes[-third // 4 :]))
    grown = size - float(np.median(sizes[-third : -third + third // 4]))
    most = MAX_MB[asked.provider]
    print(f"{size:.0f} MB, at most {most} may be; {grown:+.1f} MB in the last third, at most "
          f"{MAX_GROWTH_MB} may be")  # fmt: skip
    return int(size > most or grown > MAX_GROWTH_MB)


if __name__ == "__main__":
    sys.exit(main())
