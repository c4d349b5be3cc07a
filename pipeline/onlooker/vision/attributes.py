"""What faces look like: age, gender, expression, glasses, hair, and where the eyes look.

Probabilities are fitted as if half of all faces had each attribute; where yours are rarer, ask for
more than 50 before you believe one. A small face, or one seen from the side, tells little: its
log-odds shrink, and its probabilities come near a half.
"""

import math
from collections.abc import Callable, Collection, Sequence
from functools import cached_property
from typing import Any, TypeAlias, TypeVar

import cv2
import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from onlooker.media.picture import Picture, Pixels
from onlooker.models import card, session
from onlooker.models.card import Template, WeightsError
from onlooker.models.session import Model
from onlooker.types import Attributes, EyeDirection, Face, Pose
from onlooker.vision import geometry
from onlooker.vision.crops import batch
from onlooker.vision.mesh import EYE_INNER, EYE_OUTER, Mesh, Mesher, Seen

EVERYTHING = frozenset(Attributes.__struct_fields__)
HEADS = frozenset(("eyeglasses", "sunglasses", "beard", "mustache", "occluded"))

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

AGES = 8
"""Years that an age is likely to be off: so far are two photographs of one person often apart."""

Told: TypeAlias = dict[str, Any]
"""Some fields of `Attributes`."""
Decode = TypeVar("Decode")


class FaceDescriber:
    """Tells what faces look like; each model is loaded when it is first needed."""

    @staticmethod
    def cards() -> list[str]:
        """Return the names of the model cards that the describer needs, besides the mesher's."""
        return [EXPRESSION, FEATURES, AGE, GENDER]

    def __init__(self, provider: str) -> None:
        self._provider = provider

    def __call__(
        self, picture: Picture, seen: Sequence[Seen], wanted: Collection[str] = EVERYTHING
    ) -> list[Attributes]:
        """For each face those fields of `Attributes` that are `wanted`.

        Models run only for what is wanted. Raises ValueError for a face without a mesh.
        """
        faces, meshes = [each.face for each in seen], [_laid(each) for each in seen]
        steps: dict[Callable[..., list[Told]], frozenset[str]] = {
            self._by_mesh: frozenset(("eyes_open", "mouth_open", "eye_direction")),
            self._by_expression: frozenset(("smile", "emotions")),
            self._by_features: HEADS | {"age"},
            self._by_chip: frozenset(("male",)),
        }
        told: list[Told] = [{} for _ in faces]
        for step, fields in steps.items():
            if faces and not fields.isdisjoint(wanted):
                for all_told, some in zip(told, step(picture, faces, meshes), strict=True):
                    all_told.update(some)
        return [Attributes(**{name: each[name] for name in wanted}) for each in told]

    def described(
        self, picture: Picture, seen: Sequence[Seen], wanted: Collection[str]
    ) -> list[Seen]:
        """The same faces with those attributes."""
        told = self(picture, seen, wanted)
        return [
            Seen(replace(each.face, attributes=some), each.mesh)
            for each, some in zip(seen, told, strict=True)
        ]

    def _by_mesh(
        self, picture: Picture, faces: Sequence[Face], meshes: Sequence[Mesh]
    ) -> list[Told]:
        """Eyes, mouth and gaze: distances between points."""
        decode = _decode(self._mesh, card.Mesh)
        return [_measured(face, mesh, decode) for face, mesh in zip(faces, meshes, strict=True)]

    def expressions(self, picture: Picture, meshes: Sequence[Mesh]) -> NDArray[np.float64]:
        """(n, labels): probability of each label of the expression model's card."""
        model = self._expression
        decode = _decode(model, card.Classes)
        if decode.crop is None:
            raise WeightsError(f"the card {model.name} needs decode.crop")
        (found,) = model(self._squares(model, picture, meshes, decode.crop))
        return found.astype(np.float64)

    @property
    def happy(self) -> int:
        """Which column of `expressions` smiles."""
        return _decode(self._expression, card.Classes).labels.index("happy")

    def _by_expression(
        self, picture: Picture, faces: Sequence[Face], meshes: Sequence[Mesh]
    ) -> list[Told]:
        decode = _decode(self._expression, card.Classes)
        if decode.smile is None:
            raise WeightsError(f"the card {self._expression.name} needs decode.smile")
        types = [*(EMOTIONS[label] for label in decode.labels), *UNKNOWN_EMOTIONS]
        told = []
        expressions = self.expressions(picture, meshes)
        for face, mesh, found in zip(faces, meshes, expressions, strict=True):
            seen = visible(face, mesh)
            flat = found**seen / (found**seen).sum()
            smile = decode.smile.odds(log_odds(found[self.happy]))
            every = [*flat.tolist(), *[0.0] * len(UNKNOWN_EMOTIONS)]
            emotions = tuple(zip(types, every, strict=True))
            told.append({"smile": probability(smile * seen), "emotions": emotions})
        return told

    def _by_features(
        self, picture: Picture, faces: Sequence[Face], meshes: Sequence[Mesh]
    ) -> list[Told]:
        """Glasses, hair and what covers the face; the age by two models, whose errors differ."""
        decode = _decode(self._features, card.Attributes)
        inputs = self._squares(self._features, picture, meshes, decode.crop)
        outputs = dict(zip(self._features.outputs, self._features(inputs), strict=True))
        years = outputs[decode.age] @ np.arange(outputs[decode.age].shape[1])
        other = _decode(self._age, card.Expectation)
        (ages,) = self._age(_chips(self._age, picture, faces, other.template))
        values = other.step * np.arange(ages.shape[1])
        values[0] = other.first
        told = []
        both = (years + ages @ values) / 2
        for face, mesh, odds, age in zip(faces, meshes, outputs["heads"], both, strict=True):
            seen = visible(face, mesh)
            heads = dict(zip(decode.heads, (odds * seen).tolist(), strict=True))
            told.append(
                {name: probability(value) for name, value in heads.items()}
                | {"age": (max(0, round(age) - AGES), round(age) + AGES)}
            )
        return told

    def _by_chip(
        self, picture: Picture, faces: Sequence[Face], meshes: Sequence[Mesh]
    ) -> list[Told]:
        decode = _decode(self._gender, card.Classes)
        if decode.template is None:
            raise WeightsError(f"the card {self._gender.name} needs decode.template")
        male = decode.labels.index("male")
        (found,) = self._gender(_chips(self._gender, picture, faces, decode.template))
        return [
            {"male": probability(visible(face, mesh) * log_odds(float(row[male])))}
            for face, mesh, row in zip(faces, meshes, found, strict=True)
        ]

    @staticmethod
    def _squares(model: Model, picture: Picture, meshes: Sequence[Mesh], times: float) -> Pixels:
        side = model.card.shape[0]
        matrices = (mesh.square(times).matrix(side) for mesh in meshes)
        return batch(picture, matrices, model.card, cv2.BORDER_REPLICATE)

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
        return card.card(Mesher.CARD)


def probability(odds: float) -> float:
    """0 to 1, of the logarithm of the odds."""
    # The logistic curve by its other name, which does not overflow.
    return 0.5 + 0.5 * math.tanh(odds / 2)


# Log-odds of the labelled faces, shrunk: down to this width they are right as they are, and at 16
# pixels two thirds of them.
CLEAR_WIDTH = 24.0
# Up to the first turn they are right, and a face that is turned to the second shows one side only.
# Few of the labelled faces are turned by more than 40 degrees, so this is a guess.
FACING, ASIDE = 40.0, 80.0


def visible(face: Face, mesh: Mesh) -> float:
    """0 to 1: what share of its log-odds to believe of a face of this size and turn."""
    near = min(1.0, (face.box[2] - face.box[0]) / CLEAR_WIDTH)
    facing = max(0.0, min(1.0, (ASIDE - abs(face.pose.yaw)) / (ASIDE - FACING)))
    return near * facing * mesh.score


def lid_gap(mesh: Mesh) -> float:
    """How far apart the lids are, in widths of the eye; the mean of both eyes."""
    upper, lower = mesh.eyes[:, [11, 12, 13]], mesh.eyes[:, [3, 4, 5]]
    gaps = np.linalg.norm(upper - lower, axis=2).mean(1)
    widths = np.linalg.norm(mesh.eyes[:, EYE_OUTER] - mesh.eyes[:, EYE_INNER], axis=1)
    return float((gaps / widths).mean())


def lip_gap(mesh: Mesh) -> float:
    """How far apart the lips are inside, in widths of the mouth."""
    upper, lower, left, right = mesh.lips[[35, 25, 20, 30]]
    return float(np.linalg.norm(upper - lower) / np.linalg.norm(left - right))


MEASURES = {"eyes_open": lid_gap, "mouth_open": lip_gap}
"""What the curves on the mesh's card are of."""

# A median eyeball in widths of the eye: its radius to the iris, and how far its centre lies behind
# the line between the corners.
RADIUS = 0.42
BEHIND = 0.2
# A level look from a level head: the iris stands this far above the line between the corners.
RAISED = 0.06
# Eyes that seem to look this many degrees apart were not seen well.
SQUINT = 15.0


def gaze(mesh: Mesh, pose: Pose) -> EyeDirection:
    """Where the eyes look from the camera's view: 0, 0 is into the camera, however the head turns.

    The confidence falls where the lids hide the irises or the two eyes disagree.
    """
    roll = math.radians(pose.roll)
    upright = np.array([[math.cos(roll), -math.sin(roll)], [math.sin(roll), math.cos(roll)]])
    yaw, pitch = math.radians(pose.yaw), math.radians(pose.pitch)
    looks = []
    for eye, iris in zip(mesh.eyes @ upright, mesh.irises @ upright, strict=True):
        corners = eye[[EYE_OUTER, EYE_INNER]]
        # A head that is turned aside shows its eyes narrower than they are.
        width = abs(corners[1, 0] - corners[0, 0]) / max(0.5, math.cos(yaw))
        x, y = (iris[0] - corners.mean(0)) / width
        aside = (x + BEHIND * math.sin(yaw)) / RADIUS
        above = (-y - RAISED + BEHIND * math.sin(pitch)) / RADIUS
        looks.append([math.degrees(math.asin(max(-1.0, min(1.0, v)))) for v in (aside, above)])
    (one_yaw, one_pitch), (other_yaw, other_pitch) = looks
    apart = math.hypot(one_yaw - other_yaw, one_pitch - other_pitch)
    return EyeDirection(
        yaw=(one_yaw + other_yaw) / 2,
        pitch=(one_pitch + other_pitch) / 2,
        confidence=math.exp(-((apart / SQUINT) ** 2) / 2),
    )


def _laid(seen: Seen) -> Mesh:
    if seen.mesh is None:
        raise ValueError("attributes are told from a face's mesh, and this face has none")
    return seen.mesh


def _measured(face: Face, mesh: Mesh, decode: card.Mesh) -> Told:
    seen = visible(face, mesh)
    eyes = probability(decode.eyes_open.odds(lid_gap(mesh)) * seen)
    look = gaze(mesh, face.pose)
    return {
        "eyes_open": eyes,
        "mouth_open": probability(decode.mouth_open.odds(lip_gap(mesh)) * seen),
        "eye_direction": EyeDirection(
            yaw=look.yaw, pitch=look.pitch, confidence=look.confidence * eyes * seen
        ),
    }


def _chips(model: Model, picture: Picture, faces: Sequence[Face], template: Template) -> Pixels:
    """The faces with their five points where the model wants them."""
    places = np.array(template)
    matrices = (geometry.similarity(np.array(face.points), places) for face in faces)
    return batch(picture, matrices, model.card, cv2.BORDER_REPLICATE)


def _decode(model: Model | card.Card, kind: type[Decode]) -> Decode:
    decode = (model if isinstance(model, card.Card) else model.card).decode
    if not isinstance(decode, kind):
        raise WeightsError(f"the card {model.name} decodes as {type(decode).__name__}")
    return decode


LEAST = 1e-6
"""Probabilities are believed to this only: a network's 1.0 is not for ever."""


def log_odds(p: float) -> float:
    """Of a probability, which is never believed to be 0 or 1."""
    return math.log((p + LEAST) / (1 - p + LEAST))
