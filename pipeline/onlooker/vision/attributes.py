"""Face attributes: age, gender, expression, glasses, hair, and gaze.

Probabilities are calibrated as if half of all faces had each attribute, or a quarter were occluded;
if yours are rarer, ask for more than 50 before you rely on one. A small face, or one in profile,
shows little: its log-odds shrink, and its probabilities come near a half.
"""

import math
from collections.abc import Callable, Collection, Sequence
from functools import cached_property
from typing import Any, TypeAlias, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from onlooker.media.picture import Picture, Pixels
from onlooker.models import card, session
from onlooker.models.card import Template, WeightsError
from onlooker.models.model import Model
from onlooker.types import Attributes, EyeDirection, Face, Pose
from onlooker.vision import geometry
from onlooker.vision.crops import batch
from onlooker.vision.mesh import EYE_INNER, EYE_OUTER, Mesh, MeshedFace, MeshModel

EVERYTHING = frozenset(Attributes.__struct_fields__)
HEADS = frozenset(("eyeglasses", "sunglasses", "beard", "mustache", "occluded", "male"))
EXPRESSION, FEATURES, AGE, GENDER = "face_expression", "faceres", "age", "gender"
"""The model cards."""

EMOTIONS = {
    "neutral": "CALM",
    "happy": "HAPPY",
    "sad": "SAD",
    "angry": "ANGRY",
    "fearful": "FEAR",
    "disgusted": "DISGUSTED",
    "surprised": "SURPRISED",
}
"""Amazon's names for the labels of the expression model."""
UNKNOWN_EMOTIONS = ("CONFUSED",)
"""Amazon's types that the model has no label for. They are listed, with probability 0."""
GENDER_WEIGHT = 0.35
"""Of the log-odds of the model for genders alone, beside those of the head."""
MAX_YOUNG_YEARS, MIN_GROWN_YEARS = 18.0, 40.0
"""Up to the first age only the model for genders alone counts, which knows children; from the
second on the head does, too, which knows old women."""
AGE_ERROR_YEARS = 8
"""An age is likely to be off by up to this: so much two photographs of one person often differ."""
CLEAR_WIDTH = 24.0
"""Width of a face, in pixels, down to which the log-odds of the labelled faces are right. At 16
pixels, two thirds of them are."""
# Degrees of yaw: up to the first the log-odds are right, at the second only one side of the face is
# visible. Few of the labelled faces are turned by more than 55 degrees, so this is a guess.
MAX_FACING_YAW, MIN_PROFILE_YAW = 55.0, 90.0
# A median eyeball in widths of the eye: its radius to the iris, and how far its centre lies behind
# the line between the corners.
EYEBALL_RADIUS = 0.42
EYEBALL_DEPTH = 0.15
IRIS_HEIGHT = 0.06
"""Height of the iris above the line between the corners, in a level gaze from a level head."""
SQUINT_DEGREES = 15.0
"""Eyes whose gazes differ by this much were not measured well."""
MIN_PROBABILITY = 1e-6
"""A network's 0 counts as this, and its 1 as this much less than 1."""

Fields: TypeAlias = dict[str, Any]
"""Some fields of `Attributes`."""
Decode = TypeVar("Decode")


class FaceDescriber:
    """The models that describe faces; each is loaded when it is first needed."""

    @staticmethod
    def cards() -> list[str]:
        """Return the names of the model cards that the describer needs, besides the mesher's."""
        return [EXPRESSION, FEATURES, AGE, GENDER]

    def __init__(self, provider: str) -> None:
        self._provider = provider

    def __call__(
        self,
        pictures: Sequence[Picture],
        faces: Sequence[MeshedFace],
        wanted: Collection[str] = EVERYTHING,
    ) -> list[Attributes]:
        """Return, for each face, those fields of `Attributes` that are `wanted`.

        Each face is in the picture of its place. Only the models that are needed run. Raises
        ValueError if a face has no mesh.
        """
        meshes = [_mesh_of(each) for each in faces]
        bare = [each.face for each in faces]
        steps: dict[Callable[..., list[Fields]], frozenset[str]] = {
            self._by_mesh: frozenset(("eyes_open", "mouth_open", "eye_direction")),
            self._by_expression: frozenset(("smile", "emotions")),
            self._by_features: HEADS | {"age"},
        }
        described: list[Fields] = [{} for _ in faces]
        for step, fields in steps.items():
            if faces and not fields.isdisjoint(wanted):
                for whole, some in zip(described, step(pictures, bare, meshes), strict=True):
                    whole.update(some)
        return [Attributes(**{name: each[name] for name in wanted}) for each in described]

    def _by_mesh(
        self, pictures: Sequence[Picture], faces: Sequence[Face], meshes: Sequence[Mesh]
    ) -> list[Fields]:
        """Eyes, mouth and gaze: distances between points."""
        decode = _decode(self._mesh, card.Mesh)
        return [_measured(face, mesh, decode) for face, mesh in zip(faces, meshes, strict=True)]

    def expressions(
        self, pictures: Sequence[Picture], meshes: Sequence[Mesh]
    ) -> NDArray[np.float64]:
        """Return (n, labels): the probability of each label of the expression model's card."""
        model = self._expression
        decode = _decode(model, card.Classes)
        if decode.crop is None:
            raise WeightsError(f"the card {model.name} needs decode.crop")
        (found,) = model(self._squares(model, pictures, meshes, decode.crop))
        return found.astype(np.float64)

    @property
    def happy(self) -> int:
        """Index of the column of `expressions` for happiness."""
        return _decode(self._expression, card.Classes).labels.index("happy")

    def _by_expression(
        self, pictures: Sequence[Picture], faces: Sequence[Face], meshes: Sequence[Mesh]
    ) -> list[Fields]:
        decode = _decode(self._expression, card.Classes)
        if decode.smile is None:
            raise WeightsError(f"the card {self._expression.name} needs decode.smile")
        types = [*(EMOTIONS[label] for label in decode.labels), *UNKNOWN_EMOTIONS]
        described = []
        expressions = self.expressions(pictures, meshes)
        for face, mesh, found in zip(faces, meshes, expressions, strict=True):
            share = visible(face, mesh)
            flat = found**share / (found**share).sum()
            smile = decode.smile.odds(log_odds(found[self.happy]))
            every = [*flat.tolist(), *[0.0] * len(UNKNOWN_EMOTIONS)]
            emotions = tuple(zip(types, every, strict=True))
            described.append({"smile": probability(smile * share), "emotions": emotions})
        return described

    def _by_features(
        self, pictures: Sequence[Picture], faces: Sequence[Face], meshes: Sequence[Mesh]
    ) -> list[Fields]:
        """Glasses, hair and what covers the face; age and gender by two models each."""
        decode = _decode(self._features, card.Attributes)
        inputs = self._squares(self._features, pictures, meshes, decode.crop)
        outputs = dict(zip(self._features.outputs, self._features(inputs), strict=True))
        years = outputs[decode.age] @ np.arange(outputs[decode.age].shape[1])
        ages = (years + self._ages(pictures, faces)) / 2
        genders = self._genders(pictures, faces)
        described = []
        for face, mesh, row, age, gender in zip(
            faces, meshes, outputs["heads"], ages, genders, strict=True
        ):
            odds = dict(zip(decode.heads, row.tolist(), strict=True))
            grown = (age - MAX_YOUNG_YEARS) / (MIN_GROWN_YEARS - MAX_YOUNG_YEARS)
            grown = max(0.0, min(1.0, float(grown)))
            both = odds["male"] + GENDER_WEIGHT * gender
            odds["male"] = grown * both + (1 - grown) * gender
            share = visible(face, mesh)
            described.append(
                {name: probability(value * share) for name, value in odds.items()}
                | {"age": (max(0, round(age) - AGE_ERROR_YEARS), round(age) + AGE_ERROR_YEARS)}
            )
        return described

    def _ages(self, pictures: Sequence[Picture], faces: Sequence[Face]) -> NDArray[np.float64]:
        """Return (n,): years, by the model for ages alone."""
        decode = _decode(self._age, card.Expectation)
        (ages,) = self._age(_chips(self._age, pictures, faces, decode.template))
        values = decode.step * np.arange(ages.shape[1])
        values[0] = decode.first
        return np.asarray(ages @ values, np.float64)

    def _genders(self, pictures: Sequence[Picture], faces: Sequence[Face]) -> list[float]:
        """Return the log-odds that each face is a man's, by the model for genders alone."""
        decode = _decode(self._gender, card.Classes)
        if decode.template is None:
            raise WeightsError(f"the card {self._gender.name} needs decode.template")
        male = decode.labels.index("male")
        (found,) = self._gender(_chips(self._gender, pictures, faces, decode.template))
        return [log_odds(float(row[male])) for row in found]

    @staticmethod
    def _squares(
        model: Model, pictures: Sequence[Picture], meshes: Sequence[Mesh], times: float
    ) -> Pixels:
        side = model.card.shape[0]
        matrices = (mesh.square(times).matrix(side) for mesh in meshes)
        return batch(pictures, matrices, model.card, cv2.BORDER_REPLICATE)

    @cached_property
    def _age(self) -> Model:
        return session.load(AGE, self._provider)

    @cached_property
    def _gender(self) -> Model:
        return session.load(GENDER, self._provider)

    @cached_property
    def _expression(self) -> Model:
        return session.load(EXPRESSION, self._provider)

    @cached_property
    def _features(self) -> Model:
        return session.load(FEATURES, self._provider)

    @cached_property
    def _mesh(self) -> card.Card:
        return card.card(MeshModel.CARD)


def probability(odds: float) -> float:
    """Return the probability, 0 to 1, of log-odds."""
    # The logistic curve in the form that does not overflow.
    return 0.5 + 0.5 * math.tanh(odds / 2)


def log_odds(p: float) -> float:
    """Return the log-odds of a probability, which is never taken for 0 or 1."""
    return math.log((p + MIN_PROBABILITY) / (1 - p + MIN_PROBABILITY))


def visible(face: Face, mesh: Mesh) -> float:
    """Return the share, 0 to 1, by which to shrink log-odds for a face of this size and turn."""
    near = min(1.0, (face.box[2] - face.box[0]) / CLEAR_WIDTH)
    turned = (MIN_PROFILE_YAW - abs(face.pose.yaw)) / (MIN_PROFILE_YAW - MAX_FACING_YAW)
    return near * max(0.0, min(1.0, turned)) * mesh.score


def lid_gap(mesh: Mesh) -> float:
    """Return the gap between the lids in widths of the eye; the mean of both eyes."""
    upper, lower = mesh.eyes[:, [11, 12, 13]], mesh.eyes[:, [3, 4, 5]]
    gaps = np.linalg.norm(upper - lower, axis=2).mean(1)
    widths = np.linalg.norm(mesh.eyes[:, EYE_OUTER] - mesh.eyes[:, EYE_INNER], axis=1)
    return float((gaps / widths).mean())


def lip_gap(mesh: Mesh) -> float:
    """Return the gap between the inner lips in widths of the mouth."""
    upper, lower, left, right = mesh.lips[[35, 25, 20, 30]]
    return float(np.linalg.norm(upper - lower) / np.linalg.norm(left - right))


MEASURES = {"eyes_open": lid_gap, "mouth_open": lip_gap}
"""The measures that the curves on the mesh's card take."""


def gaze(mesh: Mesh, pose: Pose) -> EyeDirection:
    """Return the gaze relative to the camera: 0, 0 is into the camera, however the head turns.

    The confidence falls as the lids hide the irises or the two eyes disagree.
    """
    roll = math.radians(pose.roll)
    upright = np.array([[math.cos(roll), -math.sin(roll)], [math.sin(roll), math.cos(roll)]])
    yaw, pitch = math.radians(pose.yaw), math.radians(pose.pitch)
    angles = []
    for eye, iris in zip(mesh.eyes @ upright, mesh.irises @ upright, strict=True):
        corners = eye[[EYE_OUTER, EYE_INNER]]
        # The eyes of a turned head appear narrower than they are.
        width = abs(corners[1, 0] - corners[0, 0]) / max(0.5, math.cos(yaw))
        x, y = (iris[0] - corners.mean(0)) / width
        aside = (x + EYEBALL_DEPTH * math.sin(yaw)) / EYEBALL_RADIUS
        above = (-y - IRIS_HEIGHT + EYEBALL_DEPTH * math.sin(pitch)) / EYEBALL_RADIUS
        angles.append([math.degrees(math.asin(max(-1.0, min(1.0, v)))) for v in (aside, above)])
    (one_yaw, one_pitch), (other_yaw, other_pitch) = angles
    apart = math.hypot(one_yaw - other_yaw, one_pitch - other_pitch)
    return EyeDirection(
        yaw=(one_yaw + other_yaw) / 2,
        pitch=(one_pitch + other_pitch) / 2,
        confidence=math.exp(-((apart / SQUINT_DEGREES) ** 2) / 2),
    )


def _mesh_of(face: MeshedFace) -> Mesh:
    if face.mesh is None:
        raise ValueError("attributes are measured on a face's mesh, and this face has none")
    return face.mesh


def _measured(face: Face, mesh: Mesh, decode: card.Mesh) -> Fields:
    share = visible(face, mesh)
    eyes = probability(decode.eyes_open.odds(lid_gap(mesh)) * share)
    direction = gaze(mesh, face.pose)
    return {
        "eyes_open": eyes,
        "mouth_open": probability(decode.mouth_open.odds(lip_gap(mesh)) * share),
        "eye_direction": EyeDirection(
            yaw=direction.yaw,
            pitch=direction.pitch,
            confidence=direction.confidence * eyes * share,
        ),
    }


def _chips(
    model: Model, pictures: Sequence[Picture], faces: Sequence[Face], template: Template
) -> Pixels:
    """Return the faces with their five points at the model's template."""
    places = np.array(template)
    matrices = (geometry.similarity(np.array(face.points), places) for face in faces)
    return batch(pictures, matrices, model.card, cv2.BORDER_REPLICATE)


def _decode(model: Model | card.Card, kind: type[Decode]) -> Decode:
    decode = (model if isinstance(model, card.Card) else model.card).decode
    if not isinstance(decode, kind):
        raise WeightsError(f"the card {model.name} decodes as {type(decode).__name__}")
    return decode
