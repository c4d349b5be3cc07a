"""Real photographs: who is where, which way they look, and who is whom."""

from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray

from onlooker import config
from onlooker.media import image
from onlooker.media.image import Still
from onlooker.vision.faces import FaceFinder


@pytest.fixture(scope="module")
def find() -> FaceFinder:
    return FaceFinder(config.Faces(), "cpu")


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
