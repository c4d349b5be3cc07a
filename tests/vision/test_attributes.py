"""Attributes of people whom no curve and no head was fitted to."""

import csv
import hashlib
import math
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import skimage.data
from msgspec.structs import replace
from numpy.typing import NDArray
from tests.support.faces_by_eye import FaceByEye, faces_by_eye
from tests.support.single import FaceDescriber, FaceFinder, Mesher

from onlooker.config import schema
from onlooker.media import image
from onlooker.media.picture import Still
from onlooker.models import session
from onlooker.models.card import CARDS
from onlooker.models.model import Model
from onlooker.types import Attributes, Pose
from onlooker.vision import attributes
from onlooker.vision.attributes import EVERYTHING, gaze, probability, visible
from onlooker.vision.mesh import Mesh, MeshedFace

FLOORS = {
    "eyeglasses": (0.99, 0.96),
    "sunglasses": (0.96, 0.88),
    "beard": (0.985, 0.94),
    "mustache": (0.99, 0.95),
    "smile": (0.975, 0.93),
    "mouth_open": (0.97, 0.92),
    "eyes_open": (0.96, 0.88),
    "occluded": (0.88, 0.75),
    "male": (0.99, 0.96),
}
"""Least area under the curve and balanced accuracy of each."""


Pair = tuple[Still, MeshedFace]
MOUTH_AND_NOSE = [234, 132, 172, 150, 152, 379, 397, 361, 454, 357, 195, 128]
"""Points of the mesh round what a face mask covers."""


@pytest.fixture(scope="module")
def find() -> FaceFinder:
    return FaceFinder(schema.Faces(), "cpu")


@pytest.fixture(scope="module")
def fit() -> Mesher:
    return Mesher("cpu")


@pytest.fixture(scope="module")
def describe() -> FaceDescriber:
    return FaceDescriber("cpu")


@pytest.fixture(scope="module")
def astronaut(find: FaceFinder, fit: Mesher) -> tuple[Still, MeshedFace]:
    picture = image.read(Path(skimage.data.__file__).parent / "astronaut.png")
    [seen] = fit(picture, find(picture))
    return picture, seen


def is_held_out(row: dict[str, str]) -> bool:
    """As models/training/heads.py has it."""
    person = row["file"].rsplit("_", 1)[0] if row["set"] == "lfw" else row["file"]
    return hashlib.sha256(person.encode()).digest()[0] % 10 < 3


Told = list[tuple[dict[str, float], Attributes]]


@pytest.fixture(scope="module")
def told(find: FaceFinder, fit: Mesher, describe: FaceDescriber, samples: Path) -> Told:
    """Labels and attributes of every face that was held out."""
    folder = samples / "attributes"
    found = []
    with (CARDS / "training" / "male.csv").open() as file:
        male = {row["file"]: float(row["male"]) for row in csv.DictReader(file)}
    with (folder / "labels.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if is_held_out(row) and row["skip"] == "0"]
    for row in rows:
        picture = image.read(folder / row["file"])
        x = float(row["x"]) + float(row["w"]) / 2
        y = float(row["y"]) + float(row["h"]) / 2
        near = [f for f in find(picture) if f.box[0] < x < f.box[2] and f.box[1] < y < f.box[3]]
        assert near, row["file"]
        [one] = describe(picture, fit(picture, near[:1]), FLOORS)
        labels = {name: float(row[name]) for name in (*list(row)[7:-1], "occluded")}
        labels["occluded"] = max(labels["occluded"], labels["sunglasses"])
        labels["male"] = male.get(row["file"], 0.5)
        labels["eyes_open"] = 0.5 if labels["sunglasses"] else 1 - labels["eyes_closed"]
        found.append((labels, one))
    assert len(found) >= 510
    return found


@pytest.mark.parametrize(("name", "floors"), FLOORS.items())
def test_attributes_of_people_who_were_held_out_of_training(
    name: str, floors: tuple[float, float], told: Told
) -> None:
    known = [(labels[name], getattr(one, name)) for labels, one in told if labels[name] != 0.5]
    yes = np.array([p for truth, p in known if truth == 1])
    no = np.array([p for truth, p in known if truth == 0])
    assert min(len(yes), len(no)) >= 12
    above = (yes[:, None] > no).mean() + (yes[:, None] == no).mean() / 2
    balanced = ((yes >= 0.5).mean() + (no < 0.5).mean()) / 2
    assert above >= floors[0]
    assert balanced >= floors[1]


@pytest.mark.parametrize("width", [28, 40, 90])
def test_a_mask_covers_a_face_and_distance_does_not(
    width: int, fit: Mesher, describe: FaceDescriber, astronaut: Pair
) -> None:
    picture, seen = astronaut
    assert seen.mesh is not None
    x1, _, x2, _ = seen.face.box
    scale = width / (x2 - x1)
    size = round(picture.width * scale), round(picture.height * scale)
    outline = seen.mesh.points[MOUTH_AND_NOSE, :2].astype(np.int32)
    covered = []
    for colour in (None, (235, 235, 235), (30, 30, 30), (60, 60, 170)):
        pixels = picture.bgr.copy()
        if colour is not None:
            cv2.fillPoly(pixels, [outline], colour, cv2.LINE_AA)
        far = Still(np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8))
        moved = replace(
            seen.face,
            box=tuple(scale * side for side in seen.face.box),
            points=tuple((scale * x, scale * y) for x, y in seen.face.points),
        )
        [one] = describe(far, fit(far, [moved]), ["occluded"])
        covered.append(one.occluded)
    assert covered[0] is not None
    assert covered[0] < 0.5
    assert min(each for each in covered[1:] if each is not None) > 0.8


LEAST_RIGHT = {
    "eyes_open": 0.92,
    "male": 1.0,
    "mouth_open": 0.95,
    "smile": 0.9,
    "sunglasses": 0.95,
}
"""Least part of the faces of the photographs that are described as people see them."""


@pytest.fixture(scope="module")
def by_eye(
    find: FaceFinder, fit: Mesher, describe: FaceDescriber, pictures: Path
) -> list[tuple[FaceByEye, Attributes]]:
    """What people see of each face, and its attributes."""
    found = []
    for name, expected in faces_by_eye().items():
        picture = image.read(pictures / name)
        faces = sorted(fit(picture, find(picture)), key=lambda one: one.face.box)
        found += list(zip(expected, describe(picture, faces), strict=True))
    return found


@pytest.mark.parametrize(("name", "least"), LEAST_RIGHT.items())
def test_faces_are_described_as_people_see_them(
    name: str, least: float, by_eye: list[tuple[FaceByEye, Attributes]]
) -> None:
    right = [
        (getattr(one, name) >= 0.5) == (name in truth.yes)
        for truth, one in by_eye
        if name in truth.yes + truth.no
    ]
    assert len(right) >= 20
    assert sum(right) / len(right) >= least


def test_nobody_in_the_photographs_has_glasses_or_a_beard(
    by_eye: list[tuple[FaceByEye, Attributes]],
) -> None:
    for name in ("eyeglasses", "mustache", "beard"):
        assert max(getattr(one, name) for _, one in by_eye) <= 0.5, name


def test_a_hand_before_the_mouth_may_cover_a_face(
    find: FaceFinder, fit: Mesher, describe: FaceDescriber, pictures: Path
) -> None:
    """She lifts her hand before her mouth after 70 frames, and takes it away after 230."""
    covered = {}
    with av.open(str(pictures / "video" / "woman.mp4")) as video:
        for number, frame in enumerate(video.decode(video=0)):
            if number in (0, 20, 160, 180, 200, 250, 300, 350):
                picture = Still(np.asarray(frame.to_ndarray(format="bgr24"), np.uint8))
                [one] = describe(picture, fit(picture, find(picture)), ["occluded"])
                covered[number] = one.occluded
    assert all(
        p is not None and (p > 0.3 if 160 <= number <= 200 else p < 0.1)
        for number, p in covered.items()
    )


WOMEN = ("woman", "lady", "mom", "daughter")


def test_ages_of_people_whose_age_is_known(
    find: FaceFinder, fit: Mesher, describe: FaceDescriber, pictures: Path
) -> None:
    """The portraits of the White House are of 2009 to 2013."""
    for name, lowest, highest in (("barack_obama", 44, 54), ("joe_biden", 64, 73)):
        for path in sorted((pictures / "people" / name).iterdir()):
            picture = image.read(path)
            [one] = describe(picture, fit(picture, find(picture)), ["age"])
            assert one.age is not None
            low, high = one.age
            assert 0 <= low < high <= low + 20
            assert low <= highest, path
            assert high >= lowest, path


def test_women_and_men_of_all_ages(
    find: FaceFinder, fit: Mesher, describe: FaceDescriber, samples: Path
) -> None:
    right = wrong = 0
    for path in sorted((samples / "faces" / "identities").rglob("*.*")):
        picture = image.read(path)
        [one] = describe(picture, fit(picture, find(picture)[:1]), ["male", "age"])
        assert one.male is not None
        assert one.age is not None
        female = any(word in path.parent.name for word in WOMEN)
        right += (one.male < 0.5) == female
        wrong += (one.male < 0.5) != female
        low, high = one.age
        assert 0 <= low < high <= low + 20
        if path.parent.name == "joe_biden":
            assert high >= 55
        if path.parent.name in ("family1_daughter", "family1_son"):
            assert low <= 14
    assert right / (right + wrong) >= 0.95


def test_the_astronaut_smiles(astronaut: tuple[Still, MeshedFace], describe: FaceDescriber) -> None:
    picture, seen = astronaut
    [one] = describe(picture, [seen])
    for name, sure in {"smile": True, "male": False, "eyes_open": True, "beard": False}.items():
        p = getattr(one, name)
        assert (p if sure else 1 - p) > 0.9, name
    assert one.emotions is not None
    assert max(one.emotions, key=lambda each: each[1])[0] == "HAPPY"
    assert {kind for kind, _ in one.emotions} == {
        "HAPPY", "SAD", "ANGRY", "CONFUSED", "DISGUSTED", "SURPRISED", "CALM", "FEAR"
    }  # fmt: skip
    assert sum(p for _, p in one.emotions) == pytest.approx(1)
    assert one.eye_direction is not None
    assert abs(one.eye_direction.yaw) < 15
    assert abs(one.eye_direction.pitch) < 15
    assert one.eye_direction.confidence > 0.5
    for name in FLOORS:
        assert 0 <= getattr(one, name) <= 1


@pytest.mark.parametrize("name", sorted(EVERYTHING))
def test_only_wanted_attributes_are_described_and_always_equally(
    name: str, astronaut: tuple[Still, MeshedFace], describe: FaceDescriber
) -> None:
    picture, seen = astronaut
    [everything] = describe(picture, [seen])
    [one] = describe(picture, [seen], [name])
    assert one == Attributes(**{name: getattr(everything, name)})


def test_nothing_is_run_for_nothing(
    astronaut: tuple[Still, MeshedFace], monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = []
    load = session.load

    def noted(name: str, provider: str) -> Model:
        loaded.append(name)
        return load(name, provider)

    monkeypatch.setattr(session, "load", noted)
    picture, seen = astronaut
    fresh = FaceDescriber("cpu")
    assert fresh(picture, [seen], []) == [Attributes()]
    assert fresh(picture, []) == []
    fresh(picture, [seen], ["eyes_open", "mouth_open", "eye_direction"])
    assert loaded == []
    fresh(picture, [seen], ["smile"])
    assert loaded == ["face_expression"]


def test_log_odds_of_a_small_or_turned_face_shrink(
    astronaut: tuple[Still, MeshedFace], describe: FaceDescriber
) -> None:
    picture, seen = astronaut
    assert seen.mesh is not None
    face = seen.face
    assert visible(face, seen.mesh) == pytest.approx(1, abs=1e-3)
    small = replace(face, box=(0, 0, 12, 14))
    aside = replace(face, pose=Pose(roll=0, yaw=-72.5, pitch=0))
    behind = replace(face, pose=Pose(roll=0, yaw=90, pitch=0))
    assert visible(small, seen.mesh) == pytest.approx(0.5, abs=1e-3)
    assert visible(aside, seen.mesh) == pytest.approx(0.5, abs=1e-3)
    assert visible(behind, seen.mesh) == 0
    [sure], [unsure], [nothing] = (
        describe(picture, [MeshedFace(each, seen.mesh)], ["smile", "beard", "male", "emotions"])
        for each in (face, small, behind)
    )
    for name in ("smile", "beard", "male"):
        far, near = (abs(getattr(each, name) - 0.5) for each in (sure, unsure))
        assert far > near > 0
        assert getattr(nothing, name) == 0.5
    assert nothing.emotions is not None
    for _, p in nothing.emotions[:7]:
        assert p == pytest.approx(1 / 7)


def test_a_face_without_a_mesh_is_refused(
    astronaut: tuple[Still, MeshedFace], describe: FaceDescriber
) -> None:
    picture, seen = astronaut
    with pytest.raises(ValueError, match="this face has none"):
        describe(picture, [MeshedFace(seen.face)])


def test_the_gaze_follows_the_irises(astronaut: tuple[Still, MeshedFace]) -> None:
    mesh, pose = astronaut[1].mesh, astronaut[1].face.pose
    assert mesh is not None
    straight = gaze(mesh, pose)

    def moved(x: float, y: float, other: float = 1) -> tuple[float, float, float]:
        step = np.array([[[x, y]], [[x * other, y * other]]])
        look = gaze(replace_irises(mesh, mesh.irises + step), pose)
        return look.yaw - straight.yaw, look.pitch - straight.pitch, look.confidence

    assert moved(2, 0)[0] > 5  # to the right of the image
    assert moved(-2, 0)[0] < -5
    assert moved(0, -2)[1] > 5  # up
    assert abs(moved(0, -2)[0]) < 2
    assert moved(3, 0, other=-1)[2] < 0.5 * straight.confidence  # the eyes disagree


def replace_irises(mesh: Mesh, irises: NDArray[np.float64]) -> Mesh:
    return Mesh(mesh.points, mesh.lips, mesh.eyes, irises, mesh.score, mesh.lean)


def test_odds_become_probabilities() -> None:
    for odds in (-800.0, -3.0, 0.0, 0.4, 800.0):
        expected = 0.0 if odds < -700 else 1 / (1 + math.exp(-odds))
        assert probability(odds) == pytest.approx(expected)
    assert attributes.log_odds(0.0) < -10
    assert attributes.log_odds(1.0) > 10
