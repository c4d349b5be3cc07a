"""A second look at what may be a face, by both detectors, at the size at which they are best.

A detector's score depends on how large a face is in its input, and each detector is misled by
things of its own: YuNet by hands, headlights and buttons, CenterFace by blurred corners. With
"thorough" detection both name candidates, down to low scores. Each candidate is cut out at one
size, both detectors run again, and their four answers are joined into one probability.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from onlooker.media.picture import Picture, Pixels
from onlooker.vision import geometry
from onlooker.vision.crops import crop
from onlooker.vision.face_detectors import Centerface, Rows, Yunet, distinct, merge

MIN_CANDIDATE = 0.05
"""Minimum probability of a candidate, by either detector."""
SAME_CANDIDATE = 0.35
"""Intersection over union above which two boxes are one candidate."""
SAME_FACE = 0.25
"""Intersection over union above which a second look shows the candidate, not its neighbour."""

SIDE = 96
"""Pixels of the square input of a second look."""
CONTEXT = 1.4
"""Side of that square in long sides of the candidate's box: a face is 69 pixels long in it. Close
by, half covered and masked faces are told from other things better than with more around them."""
MIN_VISIBLE = 0.4
"""Share of a face inside the image. The square shows the image mirrored beyond its edges, and a
corner with its mirror images may look like a face."""
MAX_BATCH = 32
"""Second looks in one batch: a third of a megapixel."""
MAX_LOOKS = 200
"""Candidates of one image that get a second look: the likeliest."""

SURE_NEAR, SURE_FAR = 0.94, 0.5
"""A candidate to which both detectors give these probabilities is a face without a second look."""
ALONE_FIRST, ALONE_AGAIN = 0.99, 0.97
"""A candidate to which YuNet gives these probabilities, first and in the second look, is a face
whatever CenterFace says, which knows no drawn ones. No candidate in 80 images without a face has
both, a motorcycle and a cat have one."""

# Fitted to the candidates in crowds like those of `bench.bench_recall` (clear, spoiled and masked,
# but others), and in 170 images without a face: streets and things, mirrored, turned, enlarged and
# in parts.
NEAR_WEIGHT, FAR_WEIGHT = 0.076, 0.286
"""Of the log-odds of a candidate by YuNet and by CenterFace."""
NEAR_LOOK_WEIGHT, FAR_LOOK_WEIGHT = 0.363, 0.4
"""Of their log-odds in the second look."""
WIDTH_WEIGHT, MIN_JUDGED_WIDTH, MAX_JUDGED_WIDTH = 0.507, 8.0, 100.0
"""Of the logarithm of the width in pixels: of small candidates fewer are faces."""
OFFSET = 0.0
MIN_PROBABILITY = 1e-3
"""A detector that finds nothing has given this probability; 1 counts as this much less than 1."""
MAX_LOG_ODDS = math.log((1 - MIN_PROBABILITY) / MIN_PROBABILITY)
FAR_TRUST, CANDIDATE_TRUST = 0.9, 0.8
"""Factors of CenterFace's probabilities, and of those of a candidate after a second look, by which
the box of a face is chosen: YuNet's boxes fit better, and so do those of a second look."""

CLEAR = 0.99
"""A face of this probability is as upright as it seems: 96 of 100 upright faces have more."""
MIN_DOUBTFUL = 0.6
"""Minimum probability, by either detector, of a candidate that may be a turned face."""
MIN_DOUBTFUL_WIDTH = 32
"""Pixels of the full image. Narrower faces are not recognised."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """Places that may show a face."""

    rows: Rows
    """The best row of each, best first."""
    near: NDArray[np.float32]
    """(n,): the highest probability by YuNet, 0 if it did not find the candidate."""
    far: NDArray[np.float32]
    """(n,): the same by CenterFace."""

    @property
    def sure(self) -> NDArray[np.bool_]:
        """Whether both detectors take it for a face: (n,)."""
        return np.asarray((self.near >= SURE_NEAR) & (self.far >= SURE_FAR))

    @property
    def odds(self) -> NDArray[np.float32]:
        """Log-odds before a second look: (n,)."""
        widths = (self.rows[:, 2] - self.rows[:, 0]).clip(MIN_JUDGED_WIDTH, MAX_JUDGED_WIDTH)
        return np.asarray(
            OFFSET
            + WIDTH_WEIGHT * np.log(widths)
            + NEAR_WEIGHT * _log_odds(self.near)
            + FAR_WEIGHT * _log_odds(self.far)
        )

    def of(self, chosen: NDArray[np.bool_] | NDArray[np.intp]) -> "Candidates":
        """Return the chosen ones."""
        return Candidates(self.rows[chosen], self.near[chosen], self.far[chosen])


def gather(near: Sequence[Rows], far: Sequence[Rows]) -> Candidates:
    """Return the candidates among the rows that YuNet and CenterFace found in one image."""
    by_near = np.concatenate(near).shape[0]
    rows = np.concatenate([*near, *far])
    boxes = rows[:, :4].copy()
    trusted = rows[:, 4].copy()
    trusted[by_near:] *= FAR_TRUST
    kept = geometry.suppress(boxes, trusted, SAME_CANDIDATE)
    scores = np.where(geometry.iou(boxes[kept], boxes) > SAME_CANDIDATE, rows[:, 4], 0)
    return Candidates(
        rows[kept],
        scores[:, :by_near].max(1, initial=0),
        scores[:, by_near:].max(1, initial=0),
    )


def doubtful(picture: Picture, faces: Rows, candidates: Candidates) -> Rows:
    """Return the places among an image's candidates that may show a face which is not upright.

    They are faces that are not clear though the image's edge does not cut them, and likely
    candidates that are no faces; largest first.
    """
    likely = np.maximum(candidates.near, candidates.far) >= MIN_DOUBTFUL
    missed = merge(faces, candidates.rows[likely])[len(faces) :]
    unclear = (faces[:, 4] < CLEAR) & (_visible(faces, picture) == 1)
    rows = np.concatenate([faces[unclear], missed])
    widths = rows[:, 2] - rows[:, 0]
    return rows[np.argsort(-widths, kind="stable")[: (widths >= MIN_DOUBTFUL_WIDTH).sum()]]


def shown(rows: Rows, others: Rows) -> NDArray[np.bool_]:
    """Return whether one of `others` is in the place of each row: (n,)."""
    overlaps = geometry.iou(rows[:, :4].copy(), others[:, :4].copy())
    return np.asarray(overlaps.max(1, initial=0) > SAME_CANDIDATE)


class SecondLook:
    """Both detectors, for the candidates of one image."""

    def __init__(self, near: Yunet, far: Centerface) -> None:
        self._near = near
        self._far = far

    def __call__(self, picture: Picture, candidates: Candidates, threshold: float) -> Rows:
        """Return the faces among the candidates whose joint probability is at least `threshold`.

        Each face comes once, with that probability as its score; sure ones come first.
        """
        sure = candidates.sure
        unsure = candidates.of(~sure)
        rows = np.concatenate([candidates.rows[sure], self._confirmed(picture, unsure, threshold)])
        return np.asarray(rows[distinct(rows)])

    def _confirmed(self, picture: Picture, candidates: Candidates, threshold: float) -> Rows:
        candidates = candidates.of(np.argsort(-candidates.odds, kind="stable")[:MAX_LOOKS])
        odds = candidates.odds
        near = self._look(self._near, picture, candidates.rows)
        odds += NEAR_LOOK_WEIGHT * _log_odds(near[:, 4])
        # CenterFace takes five times as long, so it is asked only if its answer may be decisive.
        least = math.log(threshold / (1 - threshold))
        alone = (candidates.near >= ALONE_FIRST) & (near[:, 4] >= ALONE_AGAIN)
        open_ = alone | (odds + FAR_LOOK_WEIGHT * MAX_LOG_ODDS >= least)
        candidates, near, odds = candidates.of(open_), near[open_], odds[open_]
        far = self._look(self._far, picture, candidates.rows)
        odds += FAR_LOOK_WEIGHT * _log_odds(far[:, 4])
        odds = np.where(alone[open_], np.maximum(odds, _log_odds(near[:, 4])), odds)

        answers = np.stack([candidates.rows, near, far])
        trust = np.array([CANDIDATE_TRUST, 1, FAR_TRUST], np.float32)
        chosen = (answers[:, :, 4] * trust[:, None]).argmax(0)
        rows = answers[chosen, np.arange(len(chosen))]
        rows[:, 4] = 0.5 + 0.5 * np.tanh(odds / 2)
        faces = (odds >= least) & (_visible(rows, picture) >= MIN_VISIBLE)
        best = np.argsort(-odds, kind="stable")
        return np.asarray(rows[best[faces[best]]])

    def _look(self, detector: Yunet | Centerface, picture: Picture, rows: Rows) -> Rows:
        """Return what a detector finds at the place of each row; a score of 0 is nothing."""
        found = np.zeros_like(rows)
        for start in range(0, len(rows), MAX_BATCH):
            part = rows[start : start + MAX_BATCH]
            squares = [_square(row) for row in part[:, :4].tolist()]
            inputs = [_cut(picture, *square) for square in squares]
            for n, shown in enumerate(detector(inputs, MIN_PROBABILITY)):
                row = _same(_placed(shown, *squares[n]), part[n])
                if row is not None:
                    found[start + n] = row
        return found


def _visible(rows: Rows, picture: Picture) -> NDArray[np.float32]:
    """Return the share of each box that is inside the image: (n,)."""
    size = np.array([picture.width, picture.height], np.float32)
    sides = rows[:, 2:4] - rows[:, :2]
    inside = np.minimum(rows[:, 2:4], size) - np.maximum(rows[:, :2], 0)
    return np.asarray(inside.clip(0).prod(1) / sides.prod(1), np.float32)


def _log_odds(p: NDArray[np.float32]) -> NDArray[np.float32]:
    p = p.clip(MIN_PROBABILITY, 1 - MIN_PROBABILITY)
    return np.asarray(np.log(p / (1 - p)), np.float32)


def _square(box: Sequence[float]) -> tuple[float, float, float]:
    """Return left, top and side of the square that a second look shows."""
    x1, y1, x2, y2 = box
    side = CONTEXT * max(x2 - x1, y2 - y1)
    return (x1 + x2 - side) / 2, (y1 + y2 - side) / 2, side


def _cut(picture: Picture, left: float, top: float, side: float) -> Pixels:
    scale = SIDE / side
    matrix = np.array([[scale, 0, -left * scale], [0, scale, -top * scale]])
    shown = crop(picture, matrix, SIDE, SIDE, cv2.INTER_LINEAR, cv2.BORDER_REFLECT)
    return np.ascontiguousarray(shown)


def _placed(rows: Rows, left: float, top: float, side: float) -> Rows:
    """Return the rows found in a square in pixels of the image."""
    placed = rows.copy()
    places = [0, 1, 2, 3, *range(5, 15)]
    placed[:, places] = rows[:, places] * (side / SIDE) + np.array([left, top] * 7, np.float32)
    return placed


def _same(rows: Rows, candidate: NDArray[np.float32]) -> NDArray[np.float32] | None:
    """Return the best of the rows that show the candidate; None if none does."""
    overlaps = geometry.iou(rows[:, :4].copy(), candidate[None, :4].copy())[:, 0]
    shown = rows[overlaps > SAME_FACE]
    return shown[shown[:, 4].argmax()] if len(shown) else None
