"""Face detection in real photographs: the number of faces, their places and their scores."""

from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray
from tests.support.faces_by_eye import faces_by_eye, overlap
from tests.support.single import FaceFinder

from onlooker.config import schema
from onlooker.media import image
from onlooker.media.picture import Still


@pytest.fixture(scope="module")
def find() -> FaceFinder:
    return FaceFinder(schema.Faces(), "cpu")


@pytest.fixture(scope="module")
def finders() -> dict[str, FaceFinder]:
    settings = [schema.Faces(detection=each) for each in ("fast", "balanced", "thorough")]
    return {each.detection: FaceFinder(each, "cpu") for each in settings}


@pytest.fixture(scope="module")
def astronaut() -> NDArray[np.uint8]:
    return image.read(Path(skimage.data.__file__).parent / "astronaut.png").bgr


def test_the_astronaut_has_one_face_and_it_is_there(
    find: FaceFinder, astronaut: NDArray[np.uint8]
) -> None:
    (face,) = find(Still(astronaut))
    # Measured by eye.
    np.testing.assert_allclose(face.box, (178, 63, 268, 176), atol=8)
    by_eye = [(199, 102), (247, 104), (219, 126), (199, 143), (240, 144)]
    np.testing.assert_allclose(face.points, by_eye, atol=5)
    assert face.score > 0.9
    assert max(abs(face.pose.roll), abs(face.pose.yaw), abs(face.pose.pitch)) < 10
    assert 45 < face.quality.brightness < 75
    assert face.quality.sharpness > 90


def test_a_face_moves_with_the_image(find: FaceFinder, astronaut: NDArray[np.uint8]) -> None:
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
    # A face that fills the image is found in a smaller input.
    large = np.asarray(cv2.resize(astronaut[50:190, 160:285], (1250, 1400)), np.uint8)
    (face,) = find(Still(large))
    assert face.box[2] - face.box[0] > 700


@pytest.mark.parametrize("detection", ["fast", "balanced", "thorough"])
def test_everybody_in_a_photograph_is_found_once_and_where_they_are(
    detection: str, finders: dict[str, FaceFinder], pictures: Path
) -> None:
    known = faces_by_eye()
    assert sum(map(len, known.values())) >= 35
    for name, expected in known.items():
        found = finders[detection](image.read(pictures / name))
        sizes = [(f.box[2] - f.box[0]) * (f.box[3] - f.box[1]) for f in found]
        assert sizes == sorted(sizes, reverse=True)
        boxes = sorted(face.box for face in found)
        assert len(boxes) == len(expected), name
        for box, face in zip(boxes, expected, strict=True):
            assert overlap(box, face.box) > 0.7, (name, box)
        if name.startswith("people/"):
            assert found[0].score > 0.98, name


@pytest.mark.parametrize("detection", ["fast", "balanced", "thorough"])
@pytest.mark.parametrize("name", ["cut/left_half.jpg", "cut/right_half.jpg"])
def test_half_a_face_at_the_edge_is_found(
    name: str, detection: str, finders: dict[str, FaceFinder], pictures: Path
) -> None:
    [face] = finders[detection](image.read(pictures / name))
    assert face.score > 0.95


@pytest.mark.parametrize("detection", ["balanced", "thorough"])
def test_no_face_is_found_where_there_is_none(
    detection: str, finders: dict[str, FaceFinder], pictures: Path
) -> None:
    """Photographs of things, and a title that flies over clouds."""
    find = finders[detection]
    shipped = Path(skimage.data.__file__).parent
    for name in ("brick", "coffee", "coins", "grass", "gravel", "page", "text", "motorcycle_left"):
        for path in shipped.glob(f"{name}.*"):
            assert find(image.read(path)) == (), path
    with av.open(str(pictures / "video" / "title.mp4")) as video:
        for number, frame in enumerate(video.decode(video=0)):
            if number % 10 == 0:
                pixels = np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)
                assert find(Still(pixels)) == (), number


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


@pytest.mark.parametrize("detection", ["fast", "balanced", "thorough"])
@pytest.mark.parametrize(("name", "count"), COUNTS.items())
def test_everybody_in_a_group_is_found_once(
    name: str, count: int, detection: str, finders: dict[str, FaceFinder], samples: Path
) -> None:
    found = finders[detection](image.read(samples / "faces" / "groups" / name))
    assert len(found) == count
    sizes = [(f.box[2] - f.box[0]) * (f.box[3] - f.box[1]) for f in found]
    assert sizes == sorted(sizes, reverse=True)


def test_everybody_in_a_portrait_is_found(finders: dict[str, FaceFinder], samples: Path) -> None:
    for path in sorted((samples / "faces" / "identities").rglob("*.*")):
        for finder in finders.values():
            faces = finder(image.read(path))
            assert faces, path
            assert faces[0].score > 0.98, path


@pytest.mark.parametrize("width", [20, 24, 32, 48])
def test_a_crowd_of_small_faces_is_found_thoroughly(
    width: int, finders: dict[str, FaceFinder], astronaut: NDArray[np.uint8]
) -> None:
    """Forty astronauts, in rows, on a street's worth of grey."""
    scale = width / 90  # the width of the face
    small = cv2.resize(
        astronaut[:256, 96:352], None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA
    )
    crowd = np.full((720, 1280, 3), 110, np.uint8)
    corners = [(40 + 150 * (n % 8), 20 + 140 * (n // 8)) for n in range(40)]
    for x, y in corners:
        crowd[y : y + small.shape[0], x : x + small.shape[1]] = small
    found = finders["thorough"](Still(crowd))
    middles = [((f.box[0] + f.box[2]) / 2, (f.box[1] + f.box[3]) / 2) for f in found]
    expected = [(x + 127 * scale, y + 120 * scale) for x, y in corners]
    hit = sum(any(np.hypot(a - x, b - y) < width / 2 for a, b in middles) for x, y in expected)
    assert len(found) <= 40
    assert hit >= 38
    if width == 20:
        assert len(finders["fast"](Still(crowd))) <= 30


def test_a_face_that_the_edges_cut_is_found_whole(
    finders: dict[str, FaceFinder], astronaut: NDArray[np.uint8]
) -> None:
    """The face fills the image, from the brows to the lips."""
    close = np.asarray(cv2.resize(astronaut[80:165, 178:268], (900, 850)), np.uint8)
    (face,) = finders["thorough"](Still(close))
    assert face.box[2] - face.box[0] > 700


def test_confidence_is_a_probability(
    finders: dict[str, FaceFinder], astronaut: NDArray[np.uint8]
) -> None:
    clear = [finder(Still(astronaut))[0].score for finder in finders.values()]
    assert min(clear) > 0.99
    every = FaceFinder(schema.Faces(min_score=0.05))
    best = []
    for sigma in (7, 10, 12, 14):
        blurred = np.asarray(cv2.GaussianBlur(astronaut, (0, 0), sigma), np.uint8)
        scores = [face.score for face in every(Still(blurred))]
        assert min(scores) >= 0.05
        assert max(scores) < 1
        best.append(max(scores))
    # The less is visible, the lower the score.
    assert best == sorted(best, reverse=True)
    assert best[0] > 0.99
    assert best[-1] < 0.5


@pytest.mark.parametrize("detection", ["balanced", "thorough"])
def test_no_face_is_found_in_a_video_without_one(
    detection: str, finders: dict[str, FaceFinder], samples: Path
) -> None:
    """Ten seconds of a hooded man by night, every twentieth frame."""
    find = finders[detection]
    with av.open(str(samples / "video" / "person_night.mp4")) as video:
        for number, frame in enumerate(video.decode(video=0)):
            if number % 20 == 0:
                pixels = np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)
                assert find(Still(pixels)) == (), number
