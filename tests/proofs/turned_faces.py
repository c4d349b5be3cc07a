"""Faces at every roll: recognised as upright, or refused; strangers stay strangers.

    python -m tests.proofs.turned_faces [--images FOLDER] [--people 50] [--step 15]

FOLDER has one photograph of each person; without it, the small faces in scikit-image are enlarged.
Each photograph is turned by steps, and what the API does with it is done: "thorough" detection and
the filter of IndexFaces. Exits with 1 unless all faces that are not refused match themselves
upright with a Similarity of 97, of all pairs of strangers turned alike at most one in 1,000 reaches
80, and the mean error of Roll is at most 3 degrees. Faces that are not found are counted apart.
"""

import argparse
import math
import statistics
import sys
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import skimage.data
from numpy.typing import NDArray
from tests.support.turned_images import turned

from onlooker.config.schema import Config
from onlooker.identity.search.similarity import similarities
from onlooker.media import image
from onlooker.media.picture import Pixels, Still
from onlooker.models.card import space
from onlooker.vision.analyser import AnalysedFace, Analyser, Wanted
from onlooker.vision.unindexed_reasons import passing

MIN_SIMILARITY = 97.0
"""Of a turned face to the same one upright: within 3 of 100."""
STRANGERS = 80.0
MAX_MATCHED_SHARE = 1e-3
MAX_ROLL_ERROR_DEGREES = 3.0
WANTED = Wanted(text=False, mesh=True, max_faces=20, select=passing("AUTO"))
ENLARGED = 8
"""Times that the faces of scikit-image, of 25 pixels, are enlarged."""
EDGE = 60
"""Pixels of their surroundings."""


def photographs(folder: Path | None) -> list[Pixels]:
    """Return the photographs in a folder, or the first hundred of scikit-image's, enlarged."""
    if folder is not None:
        return [image.read(path).bgr for path in sorted(folder.iterdir())]
    faces = skimage.data.lfw_subset()[:100]  # type: ignore[no-untyped-call]
    side = ENLARGED * faces.shape[1]
    return [_enlarged(np.asarray((255 * each).round(), np.uint8), side) for each in faces]


def _centre(one: AnalysedFace) -> tuple[float, float]:
    x1, y1, x2, y2 = one.face.box
    return (x1 + x2) / 2, (y1 + y2) / 2


def _enlarged(grey: Pixels, side: int) -> Pixels:
    large = cv2.resize(grey, (side, side), interpolation=cv2.INTER_CUBIC)
    wide = cv2.copyMakeBorder(large, EDGE, EDGE, EDGE, EDGE, cv2.BORDER_REPLICATE)
    return np.asarray(cv2.cvtColor(wide, cv2.COLOR_GRAY2BGR), np.uint8)


class Proof:
    """The results of all photographs at all angles."""

    def __init__(self) -> None:
        self._config = Config().with_thorough_detection()
        self._analyser = Analyser(self._config)
        self._space = space(self._config.faces.embedder)
        self.outcomes: dict[int, Counter[str]] = {}
        self.errors: list[float] = []
        self.vectors: dict[int, list[NDArray[np.float32]]] = {}

    def faces(self, picture: Pixels) -> list[AnalysedFace]:
        """Return the faces of a picture, largest first."""
        [analysis] = self._analyser([Still(np.ascontiguousarray(picture))], [WANTED])
        return list(analysis.faces)

    def turned(
        self, photograph: Pixels, upright: AnalysedFace, degrees: int
    ) -> AnalysedFace | None:
        """Return the face of the photograph turned by `degrees` that lies where `upright` went."""
        picture, matrix = turned(photograph, degrees)
        there = matrix @ (*_centre(upright), 1)
        near = 0.5 * (upright.face.box[2] - upright.face.box[0])
        found = [
            (math.dist(_centre(each), there), n, each) for n, each in enumerate(self.faces(picture))
        ]
        apart, _, nearest = min(found, default=(math.inf, 0, None))
        return nearest if apart < near else None

    def add(self, photograph: Pixels, upright: AnalysedFace, step: int) -> None:
        """Turn one photograph by all steps."""
        for degrees in range(0, 360, step):
            one = self.turned(photograph, upright, degrees)
            counts = self.outcomes.setdefault(degrees, Counter())
            if one is None:
                counts["not found"] += 1
            elif one.vector is None:
                counts["refused"] += 1
            else:
                likeness = self.likeness(one.row[0], upright.row[0])
                counts["recognised" if likeness >= MIN_SIMILARITY else "wrong"] += 1
                roll = math.remainder(one.face.pose.roll - upright.face.pose.roll - degrees, 360)
                self.errors.append(abs(roll))
                self.vectors.setdefault(degrees, []).append(one.row[0])

    def likeness(self, one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
        """Return the Similarity of two vectors."""
        return float(similarities(one, other[None], self._space)[0])

    def strangers(self) -> list[float]:
        """Return the Similarity of all pairs of people turned alike."""
        found: list[float] = []
        for vectors in self.vectors.values():
            for n, one in enumerate(vectors[:-1]):
                others = np.stack(vectors[n + 1 :])
                found += similarities(one, others, self._space)
        return found


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", type=Path)
    parser.add_argument("--people", type=int, default=50)
    parser.add_argument("--step", type=int, default=15)
    asked = parser.parse_args()
    proof, people = Proof(), 0
    for photograph in photographs(asked.images):
        found = proof.faces(photograph)
        if found and found[0].vector is not None:
            proof.add(photograph, found[0], asked.step)
            people += 1
        if people == asked.people:
            break
    kinds = ("recognised", "refused", "not found", "wrong")
    print(f"{'roll':>5}" + "".join(f"{kind:>12}" for kind in kinds))
    for degrees, counts in proof.outcomes.items():
        print(f"{degrees:>5}" + "".join(f"{counts[kind]:>12}" for kind in kinds))
    wrong = sum(counts["wrong"] for counts in proof.outcomes.values())
    strangers = proof.strangers()
    matched = sum(each >= STRANGERS for each in strangers)
    error = statistics.fmean(proof.errors) if proof.errors else math.inf
    print(
        f"thorough detection; {people} people, "
        f"{wrong} of {len(proof.errors)} faces not recognised as upright; "
        f"{matched} of {len(strangers)} pairs of strangers at {STRANGERS:.0f}; "
        f"mean error of Roll {error:.2f} degrees"
    )
    apart = matched <= MAX_MATCHED_SHARE * len(strangers)
    kept = people > 1 and not wrong and apart and error <= MAX_ROLL_ERROR_DEGREES
    print("kept" if kept else "BROKEN")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
