"""Real photographs: who is where, which way they look, and who is whom."""

import json
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray

from onlooker import config
from onlooker.card import WeightsError
from onlooker.media import image
from onlooker.media.image import Still
from onlooker.types import Face, Point, Quality
from onlooker.vision import faces
from onlooker.vision.faces import FaceEmbedder, FaceFinder, pose, recognisable


@pytest.fixture(scope="module")
def find() -> FaceFinder:
    return FaceFinder(config.Faces(), "cpu")


@pytest.fixture(scope="module")
def embed() -> FaceEmbedder:
    return FaceEmbedder("mobilefacenet", "cpu")


@pytest.fixture(scope="module")
def astronaut() -> NDArray[np.uint8]:
    return image.read(Path(skimage.data.__file__).parent / "astronaut.png").bgr


def test_the_astronaut_has_one_face_and_it_is_there(
    find: FaceFinder, astronaut: NDArray[np.uint8]
) -> None:
    (face,) = find(Still(astronaut))
    # Read off the picture by eye.
    np.testing.assert_allclose(face.box, (178, 63, 268, 176), atol=8)
    by_eye = [(199, 102), (247, 104), (219, 126), (199, 143), (240, 144)]
    np.testing.assert_allclose(face.points, by_eye, atol=5)
    assert face.score > 0.9
    assert max(abs(face.pose.roll), abs(face.pose.yaw), abs(face.pose.pitch)) < 10
    assert 45 < face.quality.brightness < 75
    assert face.quality.sharpness > 90


def test_a_face_is_where_the_picture_is_moved_to(
    find: FaceFinder, astronaut: NDArray[np.uint8]
) -> None:
    (there,) = find(Still(astronaut))
    wide = np.zeros((700, 1400, 3), np.uint8)
    wide[100:612, 800:1312] = astronaut
    (moved,) = find(Still(wide))
    np.testing.assert_allclose(
        np.array(moved.points) - np.array(there.points), [[800, 100]] * 5, atol=8
    )


def test_nothing_and_everything_is_a_face_now_and_then(
    find: FaceFinder, astronaut: NDArray[np.uint8]
) -> None:
    assert find(Still(np.zeros((64, 64, 3), np.uint8))) == ()
    assert find(Still(np.zeros((1, 1, 3), np.uint8))) == ()
    # A face that fills the picture is found at the second look.
    large = np.asarray(cv2.resize(astronaut[50:190, 160:285], (1250, 1400)), np.uint8)
    (face,) = find(Still(large))
    assert face.box[2] - face.box[0] > 700


def test_a_face_at_the_edge_is_found_and_embedded(
    find: FaceFinder, embed: FaceEmbedder, astronaut: NDArray[np.uint8]
) -> None:
    whole = Still(astronaut)
    edge = Still(np.ascontiguousarray(astronaut[85:, 195:]))
    (face,), (cut,) = find(whole), find(edge)
    assert cut.box[0] < 0 or cut.box[1] < 0
    assert float(embed(whole, [face])[0] @ embed(edge, [cut])[0]) > 0.5


COUNTS = {
    "aws_pexels/pexels-agung-pandit-wiguna-1128316.jpg": 3,
    "aws_pexels/pexels-agung-pandit-wiguna-1128317.jpg": 3,
    "aws_pexels/pexels-agung-pandit-wiguna-1128318.jpg": 3,
    "aws_pexels/pexels-christina-morillo-1181671.jpg": 0,  # a book in two hands
    "aws_pexels/pexels-pixabay-53370.jpg": 3,
    "azure_mit/azure_cv_faces.jpg": 6,
    "azure_mit/detection1.jpg": 1,
    "azure_mit/detection2.jpg": 1,
    "azure_mit/detection3.jpg": 1,
    "azure_mit/detection4.jpg": 3,
    "azure_mit/detection5.jpg": 3,
    "azure_mit/detection6.jpg": 2,
    "azure_mit/family2_lady_and_man.jpg": 2,
    "azure_mit/identification1.jpg": 4,
    "google_face-input.jpg": 1,
    "google_face_no_surprise.jpg": 1,  # the helmet behind him is none
    "obama_and_biden.jpg": 2,
}


@pytest.mark.parametrize(("name", "count"), COUNTS.items())
def test_everybody_in_a_group_is_found_once(
    find: FaceFinder, samples: Path, name: str, count: int
) -> None:
    found = find(image.read(samples / "faces" / "groups" / name))
    assert len(found) == count
    sizes = [(f.box[2] - f.box[0]) * (f.box[3] - f.box[1]) for f in found]
    assert sizes == sorted(sizes, reverse=True)


def test_no_face_is_seen_where_there_is_none(find: FaceFinder, samples: Path) -> None:
    """Ten seconds of a hooded man by night, every tenth frame."""
    with av.open(str(samples / "video" / "person_night.mp4")) as film:
        for number, frame in enumerate(film.decode(video=0)):
            if number % 10 == 0:
                pixels = np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)
                assert find(Still(pixels)) == (), number


def portraits(samples: Path) -> Iterator[tuple[str, str, Still]]:
    """Person, file and picture of everybody in the samples."""
    for path in sorted((samples / "faces" / "identities").rglob("*.*")):
        yield path.parent.name, path.stem, image.read(path)


def test_one_person_is_near_and_two_are_far(
    find: FaceFinder, embed: FaceEmbedder, samples: Path
) -> None:
    vectors: dict[tuple[str, str], NDArray[np.float32]] = {}
    for person, number, picture in portraits(samples):
        largest = find(picture)[0]
        assert recognisable(largest, config.Faces()), (person, number)
        (vectors[person, number],) = embed(picture, [largest])
    for vector in vectors.values():
        assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
    same: dict[tuple[str, str, str], float] = {}
    different = []
    for one, other in combinations(vectors, 2):
        cosine = float(vectors[one] @ vectors[other])
        if one[0] == other[0]:
            same[one[0], one[1], other[1]] = cosine
        else:
            different.append(cosine)
    assert len(same) == 26
    # In this picture the girl leans her head by 30 degrees, and at its size the detector's points
    # do not follow. All other pairs are apart by more than 0.2: no stranger above 0.449, and
    # nobody below 0.661 to herself.
    leaning = [key for key in same if key[0] == "family1_daughter" and "3" in key[1:]]
    assert len(leaning) == 2
    for key in leaning:
        del same[key]
    assert min(same.values()) > 0.63
    assert max(different) < 0.48


def test_a_vector_does_not_depend_on_the_company(
    find: FaceFinder, embed: FaceEmbedder, samples: Path
) -> None:
    picture = image.read(samples / "faces" / "groups" / "azure_mit" / "identification1.jpg")
    found = find(picture)
    together = embed(picture, found)
    alone = np.concatenate([embed(picture, [face]) for face in found])
    assert together.shape == (4, embed.dim)
    np.testing.assert_array_equal(together, alone)
    assert embed(picture, []).shape == (0, embed.dim)


def test_the_size_of_the_picture_hardly_matters(
    find: FaceFinder, embed: FaceEmbedder, samples: Path
) -> None:
    """Chips are averaged down, so a face of 275 pixels is the same one at 92."""
    large = image.read(samples / "faces" / "identities" / "barack_obama" / "2.jpg")
    small = Still(large.small(400))
    (one,) = embed(large, find(large)[:1])
    (other,) = embed(small, find(small)[:1])
    assert float(one @ other) > 0.9


def recorded(samples: Path) -> Iterator[dict[str, Any]]:
    """Every FaceDetail in the recorded answers of Rekognition."""

    def walk(node: Any) -> Iterator[dict[str, Any]]:
        if isinstance(node, dict):
            if "Pose" in node:
                yield node
            node = list(node.values())
        if isinstance(node, list):
            for child in node:
                yield from walk(child)

    for path in sorted((samples / "aws_recorded_json").glob("*.json")):
        yield from walk(json.loads(path.read_text())["original_response"])


def five(landmarks: list[dict[str, Any]], width: float, height: float) -> tuple[Point, ...]:
    places = {mark["Type"]: (mark["X"] * width, mark["Y"] * height) for mark in landmarks}
    order = ("eyeLeft", "eyeRight", "nose", "mouthLeft", "mouthRight")
    return tuple(places[name] for name in order)


def test_pose_has_the_signs_and_the_size_that_rekognition_recorded(samples: Path) -> None:
    # The pictures' proportions were not recorded; these make the eyes' slope the recorded roll,
    # or where that is nothing, the face as long as faces are.
    proportions = [1.02, 0.9, 2 / 3]
    details = list(recorded(samples))
    assert len(details) == 3
    for detail, height in zip(details, proportions, strict=True):
        a, b, c, d, e = five(detail["Landmarks"], 1, height)
        found, truth = pose((a, b, c, d, e)), detail["Pose"]
        assert found.roll == pytest.approx(truth["Roll"], abs=3)
        assert found.yaw == pytest.approx(truth["Yaw"], abs=8)
        assert found.pitch == pytest.approx(truth["Pitch"], abs=10)


def test_pose_turns_with_the_points() -> None:
    frontal = np.array([[-30, 0], [30, 0], [0, 35.2], [-25, 64], [25, 64]])

    def moved(points: NDArray[np.float64]) -> tuple[float, float, float]:
        a, b, c, d, e = ((float(x), float(y)) for x, y in points)
        turned = pose((a, b, c, d, e))
        return turned.roll, turned.yaw, turned.pitch

    assert moved(frontal) == pytest.approx((0, 0, 0), abs=1e-9)
    angle = np.radians(25)  # clockwise, since y points down
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    assert moved(frontal @ turn * 3 + 100) == pytest.approx((25, 0, 0), abs=1e-6)
    nose = np.array([[0, 0], [0, 0], [1, 0], [0, 0], [0, 0]])
    assert moved(frontal + 20 * nose)[1] > 15
    assert moved(frontal - 20 * nose)[1] < -15
    assert moved(frontal + 10 * nose[:, ::-1])[2] < -15  # lower: looks down
    assert moved(np.ones((5, 2))) == (0, 0, 0)


def test_blur_and_shade_lower_quality(astronaut: NDArray[np.uint8]) -> None:
    box = (178.0, 63.0, 268.0, 176.0)
    sharp = faces.quality(Still(astronaut), box)
    values = [sharp.sharpness]
    for radius in (1, 2, 4):
        blurred = np.asarray(cv2.GaussianBlur(astronaut, (0, 0), radius), np.uint8)
        values.append(faces.quality(Still(blurred), box).sharpness)
    assert values == sorted(values, reverse=True)
    assert values[0] > 90
    assert values[-1] < 40
    dark = faces.quality(Still(astronaut // 2), box)
    assert dark.brightness == pytest.approx(sharp.brightness / 2, abs=1)
    black = faces.quality(Still(np.zeros((90, 90, 3), np.uint8)), (-10, -10, 40, 40))
    assert (black.brightness, black.sharpness) == (0, 0)


@pytest.mark.parametrize(
    ("width", "sharpness", "answer"),
    [(32, 40, True), (31, 90, False), (200, 39, False), (200, 90, True)],
)
def test_small_and_blurred_faces_are_not_recognised(
    width: float, sharpness: float, answer: bool
) -> None:
    face = Face(
        box=(10, 10, 10 + width, 60),
        score=0.9,
        points=((0, 0), (1, 0), (0, 1), (0, 2), (1, 2)),
        pose=pose(((0, 0), (1, 0), (0, 1), (0, 2), (1, 2))),
        quality=Quality(brightness=50, sharpness=sharpness),
    )
    assert recognisable(face, config.Faces()) is answer


def test_only_embedders_embed() -> None:
    with pytest.raises(WeightsError, match="yunet is no face embedder"):
        FaceEmbedder("yunet", "cpu")
