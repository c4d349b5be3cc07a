"""Proof that looking at pictures leaves nothing behind: memory stays flat over thousands.

Faces: pictures of all sizes with no, one and some faces go through finding, mesh, all attributes
and embedding in this process. Text: pages of all sizes, with no, some and much writing, are
searched and read. The resident size after the first tenth may grow by 5 MB for faces, and by 10 MB
for text, whose crops have any width.

    python -m tests.proofs.flat_memory [--what faces] [--pictures 5000] [--detection balanced]
    python -m tests.proofs.flat_memory --what text --pictures 3000 --detection thorough
"""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray
from tests.support.single import (
    FaceDescriber,
    FaceEmbedder,
    FaceFinder,
    Mesher,
    TextFinder,
    TextReader,
)

from onlooker.cli.demo_video import photographs
from onlooker.config import schema
from onlooker.media import image

MOST = {"faces": 5e6, "text": 10e6}
"""Bytes that the resident size may grow."""

Pixels = NDArray[np.uint8]
Count = Callable[[Pixels, int], int]
"""How much there is in a canvas that is drawn on; the number of the picture says what is drawn."""


def resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def faces(detection: str) -> Count:
    """Counts the faces of a canvas, on which it puts one in three of four pictures."""
    settings = msgspec.convert({"detection": detection}, schema.Faces)
    find, lay = FaceFinder(settings, "auto"), Mesher("auto")
    embed, describe = FaceEmbedder(settings, "auto"), FaceDescriber("auto")
    astronaut = photographs().astronaut

    def count(canvas: Pixels, number: int) -> int:
        side = min(canvas.shape[:2])
        if number % 4:
            canvas[:side, :side] = cv2.resize(astronaut, (side, side))
        picture = image.decode(cv2.imencode(".jpg", canvas)[1].tobytes())
        seen = lay(picture, find(picture))
        describe(picture, seen)
        embed(picture, seen)
        return len(seen)

    return count


def text(detection: str) -> Count:
    """Counts the words of a canvas, on which it writes in three of four pictures."""
    settings = msgspec.convert({"detection": detection}, schema.Text)
    find, read = TextFinder(settings, "auto"), TextReader(settings, "auto")
    chance = np.random.default_rng(6)

    def count(canvas: Pixels, number: int) -> int:
        for _ in range(2 * (number % 4)):
            x, y = (int(chance.integers(0, side)) for side in canvas.shape[1::-1])
            word = "".join(map(chr, chance.integers(97, 123, int(chance.integers(2, 12)))))
            scale = float(chance.uniform(0.4, 2))
            cv2.putText(canvas, word, (x // 2, y), cv2.FONT_HERSHEY_SIMPLEX, scale, (255,) * 3, 2)
        picture = image.decode(cv2.imencode(".jpg", canvas)[1].tobytes())
        return sum(len(line.words) for line in read(picture, find(picture)))

    return count


def main() -> int:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--what", choices=["faces", "text"], default="faces")
    arguments.add_argument("--pictures", type=int, default=5000)
    arguments.add_argument("--detection")
    arguments.add_argument("--largest", type=int, default=900, help="longest side of a picture")
    chosen = arguments.parse_args()
    makers = {"faces": (faces, "balanced"), "text": (text, "thorough")}
    make, detection = makers[chosen.what]
    count = make(chosen.detection or detection)
    behind = photographs().motorcycle
    rng = np.random.default_rng(5)
    # A hundred sizes, each again and again: what grows then is a leak, not another size.
    sizes = rng.integers(120, chosen.largest, (100, 2)).tolist()
    found, began = 0, 0
    for number in range(chosen.pictures):
        canvas = np.array(cv2.resize(behind, sizes[number % len(sizes)]), np.uint8)
        found += count(canvas, number)
        if number + 1 == chosen.pictures // 10:
            began = resident()
        if (number + 1) % max(1, chosen.pictures // 10) == 0:
            seen = f"{found} {'words' if chosen.what == 'text' else 'faces'}"
            print(f"{number + 1} pictures, {seen}, {resident() / 1e6:.1f} MB", flush=True)
    grown, most = resident() - began, MOST[chosen.what]
    print(f"grew by {grown / 1e6:.2f} MB after the first tenth; at most {most / 1e6:.0f} may be")
    return int(grown > most)


if __name__ == "__main__":
    sys.exit(main())
