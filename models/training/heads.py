"""Training of the heads in `models/faceres_heads.npz`, and of the curves on the cards.

    python models/training/heads.py FOLDER [HEAD ...]

Only the named heads are trained if there are any; the others stay as they are in the file.

FOLDER has `labels.csv` and the images that it names. The columns are `file`, `set`, `x`, `y`, `w`,
`h` (the face's box) and attributes: 1, 0, or 0.5 for unknown. In the set `lfw` a file is named
after its person; in the others each image is of another person. As with Amazon, a face behind dark
sunglasses is `occluded`. `male.csv` beside this file has the genders: as the publishers of the
images name them, or as two published networks agree, and by eye for the 84 faces where these
differ or are in doubt; seven that stay doubtful are left out.

Three people in ten, chosen by a hash of their names, are held out of all fits; the printed figures
are measured on them. The figures are reviewed and copied to the cards by hand.
"""

import csv
import hashlib
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cover
import cv2
import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from rich.progress import track
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold
from sklearn.preprocessing import StandardScaler

from onlooker.config.schema import Faces
from onlooker.media import image
from onlooker.media.picture import Pixels, Still
from onlooker.models import card, weights
from onlooker.models.convert.heads import ROWS
from onlooker.models.logistic import Logistic
from onlooker.types import Box
from onlooker.vision import attributes
from onlooker.vision.attributes import FaceDescriber
from onlooker.vision.crops import crop
from onlooker.vision.faces import FaceFinder
from onlooker.vision.mesh import Mesh
from onlooker.vision.mesher import Mesher

Values = NDArray[np.float64]
Rows = NDArray[np.float32]
OUT = Path(__file__).parent.parent / "faceres_heads.npz"

STRENGTH = 1e-3
"""Inverse of the penalty on a head's weights."""
SIZE = 7
"""Rows of the map of features."""
PRIORS = {"occluded": 0.25}
"""Share of faces with an attribute, if not a half. Masks are told from bare faces at any threshold,
so this one is for the blurred and turned bare faces, which are many."""
AGE_OF_THE_OLD = 55
MAX_GROUP_WEIGHT = 8.0
"""A face of a rare group (old women) weighs at most this many times one of the most common."""
ROWS_USED = {"eyeglasses": (1, 2, 3), "sunglasses": (1, 2, 3)}
"""Rows that a head uses, if not all: those with the eyes."""


@dataclass
class Example:
    """A labelled face."""

    person: str
    held_out: bool
    labels: dict[str, float]
    picture: Still
    mesh: Mesh


def person_of(row: dict[str, str]) -> str:
    """Return the person of a row of `labels.csv`."""
    return row["file"].rsplit("_", 1)[0] if row["set"] == "lfw" else row["file"]


def is_held_out(person: str) -> bool:
    """Return whether a person is held out of training: three in ten are."""
    return hashlib.sha256(person.encode()).digest()[0] % 10 < 3


def examples(folder: Path) -> Iterator[Example]:
    """Yield the faces of `labels.csv` that are not skipped and that are detected."""
    find, lay = FaceFinder(Faces(), "cpu"), Mesher("cpu")
    with (Path(__file__).parent / "male.csv").open() as file:
        male = {row["file"]: float(row["male"]) for row in csv.DictReader(file)}
    with (folder / "labels.csv").open() as file:
        for row in csv.DictReader(file):
            labels = {name: float(row[name]) for name in list(row)[7:]}
            if labels.pop("skip"):
                continue
            labels["male"] = male.get(row["file"], 0.5)
            labels["occluded"] = max(labels["occluded"], labels["sunglasses"])
            picture = image.read(folder / row["file"])
            x, y, w, h = (float(row[name]) for name in "xywh")
            near = [face for face in find([picture])[0] if _holds(face.box, x + w / 2, y + h / 2)]
            if near:
                [meshed] = lay([picture], near[:1])
                person = person_of(row)
                assert meshed.mesh is not None
                yield Example(person, is_held_out(person), labels, picture, meshed.mesh)


def _holds(box: Box, x: float, y: float) -> bool:
    return box[0] < x < box[2] and box[1] < y < box[3]


class Features:
    """The input of the heads, for one crop at a time."""

    def __init__(self) -> None:
        self.card = card.card("faceres")
        decode = self.card.decode
        assert isinstance(decode, card.Attributes)
        self.heads, self.times, self.side = decode.heads, decode.crop, self.card.shape[0]
        model = onnx.load(weights.path("faceres"))
        model.graph.output.append(onnx.helper.make_empty_tensor_value_info(ROWS))
        self._age = decode.age
        self._session = onnxruntime.InferenceSession(model.SerializeToString())

    def crop(self, example: Example) -> tuple[Pixels, Values]:
        """Return the crop for the model, and the mesh's points in it."""
        matrix = example.mesh.square(self.times).matrix(self.side)
        size = (self.side, self.side)
        seen = crop(example.picture, matrix, *size, cv2.INTER_LINEAR, cv2.BORDER_REPLICATE)
        return seen, example.mesh.points[:, :2] @ matrix[:, :2].T + matrix[:, 2]

    def __call__(self, seen: Pixels) -> tuple[Rows, float]:
        """Return the features, and the age in years."""
        taken = {self._session.get_inputs()[0].name: seen[None]}
        rows, years = self._session.run([ROWS, self._age], taken)
        return np.asarray(rows[0], np.float32), float(years[0] @ np.arange(years.shape[1]))


@dataclass
class Sample:
    """Features with their people and true labels: 1, 0, or 0.5 for unknown."""

    features: list[Rows] = field(default_factory=list)
    ages: list[float] = field(default_factory=list)
    people: list[str] = field(default_factory=list)
    labels: list[dict[str, float]] = field(default_factory=list)
    painted: list[bool] = field(default_factory=list)

    def add(
        self,
        found: tuple[Rows, float],
        person: str,
        labels: dict[str, float],
        painted: bool = False,
    ) -> None:
        features, age = found
        self.features.append(features)
        self.ages.append(age)
        self.people.append(person)
        self.labels.append(labels)
        self.painted.append(painted)

    def of(self, head: str) -> "Sample":
        """Return the faces whose `head` is known."""
        known = [n for n, labels in enumerate(self.labels) if labels.get(head, 0.5) != 0.5]
        return Sample(
            [self.features[n] for n in known],
            [self.ages[n] for n in known],
            [self.people[n] for n in known],
            [self.labels[n] for n in known],
            [self.painted[n] for n in known],
        )

    def truth(self, head: str) -> Values:
        return np.array([labels[head] for labels in self.labels])


PAINTED = (
    (cover.cover, 1.0),
    (cover.cover, 1.0),
    (cover.cover, 1.0),
    (cover.come_near, 0.0),
    (cover.come_near, 0.0),
)
"""The painters for each bare face, and the label of the result."""


def sample(faces: Sequence[Example], features: Features) -> tuple[Sample, Sample]:
    """Return the training sample, with painted faces, and the held-out sample, without."""
    learned, kept = Sample(), Sample()
    rng = np.random.default_rng(1)
    for example in track(faces, "features"):
        seen, points = features.crop(example)
        person, labels = example.person, example.labels
        if example.held_out:
            kept.add(features(seen), person, labels)
            continue
        learned.add(features(seen), person, labels)
        learned.add(features(np.ascontiguousarray(seen[:, ::-1])), person, labels)
        # What covers a small face is as visible as its features, which are blurred.
        small = features(far_off(rng, seen))
        learned.add(small, person, {"occluded": labels["occluded"]})
        if not labels["occluded"]:
            painter = cover.Painter(rng, seen, points)
            for paint, truth in PAINTED:
                if (over := paint(painter)) is not None:
                    shown = far_off(rng, over) if rng.random() < 0.5 else over
                    learned.add(features(shown), person, {"occluded": truth}, painted=True)
    return learned, kept


def far_off(rng: np.random.Generator, seen: Pixels) -> Pixels:
    """Return the crop as if its face were 16 to 60 pixels wide in a JPEG."""
    side = len(seen)
    scale = float(np.exp(rng.uniform(np.log(16), np.log(60)))) / (0.6 * side)
    small = cv2.resize(seen, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    _, jpeg = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(60, 95))])
    again = image.decode(jpeg.tobytes()).bgr
    return np.asarray(cv2.resize(again, (side, side), interpolation=cv2.INTER_LINEAR), np.uint8)


def train(learned: Sample, head: str) -> tuple[Values, float]:
    """Return weights and offset of one head: log-odds, as if half of all faces had the attribute.

    Or the share of them that PRIORS gives. The calibration is fitted by cross-validation over
    people, on real images only.
    """
    known = learned.of(head)
    truth, painted = known.truth(head), np.array(known.painted)
    features = np.array(known.features)
    blind = np.ones((SIZE, features.shape[1] // SIZE), bool)
    blind[list(ROWS_USED.get(head, range(SIZE)))] = False
    features[:, blind.ravel()] = 0
    weights = group_weights(known, head)
    odds = np.zeros(len(truth))
    for some, rest in GroupKFold(5).split(features, truth, known.people):
        slopes, offset = fit_line(features[some], truth[some], weights[some])
        odds[rest] = features[rest] @ slopes + offset
    curve = fit_curve(odds[~painted], truth[~painted])
    slopes, offset = fit_line(features, truth, weights)
    prior = PRIORS.get(head, 0.5)
    level = curve.slope * (offset - curve.midpoint) + math.log(prior / (1 - prior))
    return curve.slope * slopes, level


def group_weights(known: Sample, head: str) -> Values:
    """Return a weight for each face: both labels, and for `male` the old too, count alike."""
    groups = known.truth(head).astype(int)
    if head == "male":
        groups += 2 * (np.array(known.ages) >= AGE_OF_THE_OLD)
    counts = np.bincount(groups)
    rarity = 1 / counts[groups]
    weights = np.minimum(rarity, MAX_GROUP_WEIGHT * rarity.min())
    return np.asarray(weights / weights.mean())


def fit_line(features: Rows, truth: Values, weights: Values) -> tuple[Values, float]:
    """Return slopes and offset of the log-odds by logistic regression."""
    scaler = StandardScaler().fit(features)
    model = LogisticRegression(C=STRENGTH, max_iter=500)
    model.fit(scaler.transform(features), truth, sample_weight=weights)
    slopes = model.coef_[0] / scaler.scale_
    return slopes, float(model.intercept_[0]) - float(slopes @ scaler.mean_)


def fit_curve(values: Values, truth: Values) -> Logistic:
    """Fit the curve of one measured value, as if half of all faces had the attribute."""
    model = LogisticRegression(C=1e6, class_weight="balanced").fit(values[:, None], truth)
    slope = float(model.coef_[0, 0])
    return Logistic(slope=slope, midpoint=-float(model.intercept_[0]) / slope)


def report(name: str, odds: Values, truth: Values) -> None:
    """Print how well log-odds separate the held-out people."""
    found, wrongly = (odds[truth == 1] > 0).mean(), (odds[truth == 0] > 0).mean()
    print(
        f"{name:12} AUC {roc_auc_score(truth, odds):.4f}  "
        f"balanced accuracy {(found + 1 - wrongly) / 2:.3f}  "
        f"{found:.3f} of {int(truth.sum())} found, "
        f"{wrongly:.3f} of {int((1 - truth).sum())} wrongly"
    )


def main(folder: Path, *only: str) -> None:
    faces = list(examples(folder))
    print(f"{len(faces)} faces, {sum(each.held_out for each in faces)} of them held out")
    features = Features()
    learned, kept = sample(faces, features)
    trained: dict[str, tuple[Values, float]] = {}
    with np.load(OUT) as file:
        for head, slope, offset in zip(
            features.heads, file["weights"].T, file["offsets"], strict=False
        ):
            trained[head] = slope.astype(np.float64), float(offset)
    for head in only or features.heads:
        trained[head] = train(learned, head)
    columns, offsets = zip(*(trained[head] for head in features.heads), strict=True)
    with OUT.open("wb") as file:
        np.savez(
            file,
            weights=np.array(columns).T.astype(np.float16),
            offsets=np.array(offsets, np.float32),
        )
    print(f"{OUT.name}: sha256 {hashlib.sha256(OUT.read_bytes()).hexdigest()}")
    for head, (slope, offset) in trained.items():
        known = kept.of(head)
        report(head, np.array(known.features) @ slope + offset, known.truth(head))
    for name in ("smile", "mouth_open", "eyes_open"):
        values, truth, out = measured(faces, name)
        curve = fit_curve(values[~out], truth[~out])
        print(f"{name} = {{ slope = {curve.slope:.4g}, midpoint = {curve.midpoint:.4g} }}")
        report(name, curve.slope * (values[out] - curve.midpoint), truth[out])


def measured(faces: Sequence[Example], name: str) -> tuple[Values, Values, NDArray[np.bool_]]:
    """Return a curve's values, labels and held-out flags, for the faces with a known label."""
    describe = FaceDescriber("cpu")
    values, truths, out = [], [], []
    for example in faces:
        labels = example.labels
        truth = labels[name] if name in labels else 1 - labels["eyes_closed"]
        if truth == 0.5 or (name == "eyes_open" and labels["sunglasses"]):
            continue
        if name == "smile":
            [probabilities] = describe.expressions([example.picture], [example.mesh])
            value = attributes.log_odds(probabilities[describe.happy])
        else:
            value = attributes.MEASURES[name](example.mesh)
        values.append(value)
        truths.append(truth)
        out.append(example.held_out)
    return np.array(values), np.array(truths), np.array(out)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
