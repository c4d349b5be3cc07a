"""Real photographs: who is whom."""

from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray
from tests.support.single import FaceEmbedder, FaceFinder, Mesher

from onlooker.config import schema
from onlooker.identity.search.similarity import similarity
from onlooker.media import image
from onlooker.media.picture import Still
from onlooker.models.card import WeightsError
from onlooker.vision.mesh import MeshedFace
from onlooker.vision.unindexed_reasons import reasons


@pytest.fixture(scope="module")
def find() -> FaceFinder:
    return FaceFinder(schema.Faces(), "cpu")


@pytest.fixture(scope="module")
def astronaut() -> NDArray[np.uint8]:
    return image.read(Path(skimage.data.__file__).parent / "astronaut.png").bgr


@pytest.fixture(scope="module")
def embed() -> FaceEmbedder:
    return FaceEmbedder(schema.Faces(), "cpu")


@pytest.fixture(scope="module")
def fit() -> Mesher:
    return Mesher("cpu")


def test_a_face_at_the_edge_is_found_and_embedded(
    find: FaceFinder, fit: Mesher, embed: FaceEmbedder, astronaut: NDArray[np.uint8]
) -> None:
    whole = Still(astronaut)
    edge = Still(np.ascontiguousarray(astronaut[85:, 195:]))
    (face,), (cut,) = find(whole), find(edge)
    assert cut.box[0] < 0 or cut.box[1] < 0
    one, other = embed(whole, fit(whole, [face])), embed(edge, fit(edge, [cut]))
    assert float(one[0] @ other[0]) > 0.5


def portraits(place: Path) -> Iterator[tuple[str, str, Still]]:
    """Person, file and image of everybody in a folder with a folder for each."""
    for path in sorted(place.rglob("*.*")):
        yield path.parent.name, path.stem, image.read(path)


PAIRS, MORE_PAIRS = 10, 26
"""How often the pictures, and the samples, have two images of one person."""

People = dict[tuple[str, str], tuple[Still, MeshedFace]]


@pytest.fixture(scope="module")
def people(find: FaceFinder, fit: Mesher, pictures: Path) -> People:
    return people_in(pictures / "people", find, fit)


@pytest.fixture(scope="module")
def more_people(find: FaceFinder, fit: Mesher, samples: Path) -> People:
    return people_in(samples / "faces" / "identities", find, fit)


def people_in(place: Path, find: FaceFinder, fit: Mesher) -> People:
    """The largest face of each portrait, by person and number."""
    found = {}
    for person, number, picture in portraits(place):
        [seen] = fit(picture, find(picture)[:1])
        assert reasons(seen.face, "AUTO", 32) == (), (person, number)
        found[person, number] = picture, seen
    return found


def apart(embed: FaceEmbedder, people: People, pairs: int) -> tuple[float, float]:
    """Minimum Similarity of two images of one person, and maximum of two people.

    pairs: how often there are two images of one person.
    """
    vectors = {name: embed(picture, [seen])[0] for name, (picture, seen) in people.items()}
    same: list[float] = []
    different: list[float] = []
    for one, other in combinations(vectors, 2):
        a, b = vectors[one], vectors[other]
        euclidean = embed.space.calibration.metric == "euclidean"
        value = float(np.linalg.norm(a - b)) if euclidean else float(a @ b)
        found = similarity(value, embed.space.calibration)
        (same if one[0] == other[0] else different).append(found)
    assert len(same) == pairs
    return min(same), max(different)


def test_each_person_is_themselves_and_nobody_else_at_80(
    embed: FaceEmbedder, people: People
) -> None:
    least, most = apart(embed, people, PAIRS)
    assert least > 98
    assert most < 10


def test_mirrored_chips_tell_no_less(people: People) -> None:
    least, most = apart(FaceEmbedder(schema.Faces(mirrored=True), "cpu"), people, PAIRS)
    assert least > 98.5
    assert most < 10


def test_two_embedders_side_by_side(people: People) -> None:
    both = FaceEmbedder(schema.Faces(embedder="mobilefacenet+dlib_resnet"), "cpu")
    assert both.space.dim == 192 + 128
    least, most = apart(both, people, PAIRS)
    assert least > 99
    assert most < 10


def test_nobody_in_a_group_is_somebody_else_there(
    find: FaceFinder, fit: Mesher, embed: FaceEmbedder, pictures: Path
) -> None:
    """But for two young women at the shore, who might be sisters."""
    alike = []
    pairs = 0
    for path in sorted((pictures / "groups").iterdir()):
        picture = image.read(path)
        vectors = embed(picture, fit(picture, find(picture)))
        for one, other in combinations(vectors, 2):
            pairs += 1
            found = similarity(float(one @ other), embed.space.calibration)
            if found >= 80:
                alike.append((path.stem, found))
    assert pairs >= 40
    assert [name for name, _ in alike] == ["shore"]
    assert alike[0][1] < 92


def test_more_people_are_themselves_and_nobody_else_at_80(
    embed: FaceEmbedder, more_people: People
) -> None:
    least, most = apart(embed, more_people, MORE_PAIRS)
    assert least > 98  # cosine 0.696
    assert most < 80  # cosine 0.544


def test_mirrored_chips_of_more_people_tell_no_less(more_people: People) -> None:
    least, most = apart(FaceEmbedder(schema.Faces(mirrored=True), "cpu"), more_people, MORE_PAIRS)
    assert least > 98.5
    assert most < 80


def test_two_embedders_side_by_side_for_more_people(more_people: People) -> None:
    both = FaceEmbedder(schema.Faces(embedder="mobilefacenet+dlib_resnet"), "cpu")
    least, most = apart(both, more_people, MORE_PAIRS)
    assert least > 98
    assert most < 92


def test_the_mesh_follows_a_leaning_head_better_than_five_points(
    embed: FaceEmbedder, people: People, find: FaceFinder
) -> None:
    """The guest leans by 45 degrees in one of two images."""
    (picture, seen), (other_picture, other) = (people["guest", number] for number in "12")
    by_mesh = float(embed(picture, [seen])[0] @ embed(other_picture, [other])[0])
    points = [MeshedFace(find(each)[0]) for each in (picture, other_picture)]
    by_points = float(embed(picture, points[:1])[0] @ embed(other_picture, points[1:])[0])
    assert by_mesh > 0.75
    assert by_points < by_mesh - 0.1


def test_the_mesh_follows_a_leaning_head_and_five_points_do_not(
    embed: FaceEmbedder, more_people: People, find: FaceFinder
) -> None:
    by_mesh, by_points = [], []
    for name, (picture, seen) in more_people.items():
        if name[0] == "family1_daughter":  # in one of three images she leans by 30 degrees
            by_mesh.append(embed(picture, [seen])[0])
            by_points.append(embed(picture, [MeshedFace(find(picture)[0])])[0])
    assert min(float(a @ b) for a, b in combinations(by_mesh, 2)) > 0.69
    assert min(float(a @ b) for a, b in combinations(by_points, 2)) < 0.3
    assert max(float(a @ b) for a, b in combinations(by_points, 2)) > 0.6


def test_a_vector_does_not_depend_on_the_company(
    find: FaceFinder, fit: Mesher, embed: FaceEmbedder, pictures: Path
) -> None:
    picture = image.read(pictures / "groups" / "window.jpg")
    found = fit(picture, find(picture))
    together = embed(picture, found)
    alone = np.concatenate([embed(picture, [face]) for face in found])
    assert together.shape == (4, embed.space.dim)
    np.testing.assert_array_equal(together, alone)
    assert embed(picture, []).shape == (0, embed.space.dim)


def test_the_size_of_the_image_hardly_matters(
    find: FaceFinder, fit: Mesher, embed: FaceEmbedder, pictures: Path
) -> None:
    """Chips are averaged down, so a face of 275 pixels is the same one at 92."""
    large = image.read(pictures / "people" / "barack_obama" / "2.jpg")
    small = Still(large.small(400))
    (one,) = embed(large, fit(large, find(large)[:1]))
    (other,) = embed(small, fit(small, find(small)[:1]))
    assert float(one @ other) > 0.9


def test_only_embedders_embed() -> None:
    with pytest.raises(WeightsError, match="yunet is no face embedder"):
        FaceEmbedder(schema.Faces(embedder="yunet"), "cpu")
    with pytest.raises(WeightsError, match=r"no calibration for .dlib_resnet.mobilefacenet"):
        FaceEmbedder(schema.Faces(embedder="dlib_resnet+mobilefacenet"), "cpu")
