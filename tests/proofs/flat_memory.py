"""Proof that looking at faces leaves nothing behind: memory stays flat over 5,000 pictures.

Pictures of all sizes with no, one and some faces go through finding, mesh, all attributes and
embedding in this process. The resident size after the first tenth may grow by 5 MB.

    python tests/proofs/flat_memory.py [--pictures 5000] [--detection balanced]
"""

import argparse
import os
import sys
from pathlib import Path

import cv2
import numpy as np

from onlooker import config
from onlooker.demo import photographs
from onlooker.media import image
from onlooker.vision.attributes import FaceDescriber
from onlooker.vision.embed import FaceEmbedder
from onlooker.vision.faces import FaceFinder
from onlooker.vision.mesh import Mesher

MOST = 5e6
"""Bytes that the resident size may grow."""


def resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--pictures", type=int, default=5000)
    arguments.add_argument("--detection", default="balanced")
    chosen = arguments.parse_args()
    settings = config.Faces(detection=chosen.detection)
    find, lay = FaceFinder(settings, "auto"), Mesher("auto")
    embed, describe = FaceEmbedder(settings, "auto"), FaceDescriber("auto")
    photos = photographs()
    rng = np.random.default_rng(5)
    # A hundred sizes, each again and again: what grows then is a leak, not another size.
    sizes = [(int(rng.integers(120, 900)), int(rng.integers(120, 900))) for _ in range(100)]
    faces, began = 0, 0
    for number in range(chosen.pictures):
        width, height = sizes[number % len(sizes)]
        canvas = np.array(cv2.resize(photos.motorcycle, (width, height)), np.uint8)
        side = min(width, height)
        if number % 4:
            canvas[:side, :side] = cv2.resize(photos.astronaut, (side, side))
        data = cv2.imencode(".jpg", canvas)[1].tobytes()
        picture = image.decode(data)
        seen = lay(picture, find(picture))
        describe(picture, seen)
        embed(picture, seen)
        faces += len(seen)
        if number + 1 == chosen.pictures // 10:
            began = resident()
        if (number + 1) % max(1, chosen.pictures // 10) == 0:
            print(f"{number + 1} pictures, {faces} faces, {resident() / 1e6:.1f} MB", flush=True)
    grown = resident() - began
    print(f"grew by {grown / 1e6:.2f} MB after the first tenth; at most {MOST / 1e6:.0f} may be")
    return int(grown > MOST)


if __name__ == "__main__":
    sys.exit(main())
