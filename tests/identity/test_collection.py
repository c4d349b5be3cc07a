from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from onlooker.cli.demo_video import photographs
from onlooker.config import load
from onlooker.config.schema import Config, Faces
from onlooker.identity.collection import Collection
from onlooker.identity.duplicates import image_id
from onlooker.identity.errors import (
    CollectionNotFound,
    InvalidName,
    ModelMismatch,
    NoFaceFound,
)
from onlooker.identity.store import Store, default_path
from onlooker.media.errors import MediaError

CONFIG = Config(faces=Faces(mesh=False))


@pytest.fixture(scope="module")
def astronaut() -> NDArray[np.uint8]:
    return photographs().astronaut


@pytest.fixture
def portrait(tmp_path: Path, astronaut: NDArray[np.uint8]) -> Path:
    path = tmp_path / "Eileen Collins.png"
    cv2.imwrite(str(path), astronaut)
    return path


@pytest.fixture
def staff(tmp_path: Path) -> Iterator[Collection]:
    with Collection("staff", store=tmp_path / "faces.db", config=CONFIG) as opened:
        yield opened


def test_a_person_is_indexed_found_listed_and_deleted(
    staff: Collection, portrait: Path, astronaut: NDArray[np.uint8]
) -> None:
    face = staff.index(portrait)
    assert face.external_image_id == "Eileen::Collins"
    assert face.image_id == image_id(portrait.read_bytes())
    assert staff.index(str(portrait)) == face  # once is enough
    assert (len(staff), list(staff.list())) == (1, [face])
    for picture in (portrait, portrait.read_bytes(), astronaut):
        [match] = staff.search(picture)
        assert (match.face, match.similarity) == (face, 100.0)
    [near] = staff.search(np.ascontiguousarray(astronaut[:, ::-1]), threshold=50)
    assert 50 < near.similarity < 100
    assert staff.search(portrait, max_faces=1)[0].face == face
    outcome = staff.delete_faces([face.face_id, "another"])
    assert outcome.deleted == [face.face_id]
    assert [failure.reason for failure in outcome.failed] == ["FACE_NOT_FOUND"]
    assert staff.search(portrait) == ()
    assert bool(staff)


def test_bytes_and_pixels_have_no_name_unless_one_is_given(
    staff: Collection, portrait: Path, astronaut: NDArray[np.uint8]
) -> None:
    assert staff.index(portrait.read_bytes()).external_image_id is None
    assert staff.index(astronaut, "eileen").external_image_id == "eileen"
    with pytest.raises(InvalidName, match=r"'Zoë Q' cannot .*'Zo:eb:::Q' would do"):
        staff.index(astronaut, "Zoë Q")
    with pytest.raises(InvalidName, match="Eileen::C"):
        staff.index(astronaut, "Eileen C")
    assert staff.info.faces == 2


def test_folders(staff: Collection, tmp_path: Path, astronaut: NDArray[np.uint8]) -> None:
    for place in ("people/eileen/1.png", "people/nobody/1.png"):
        file = tmp_path / place
        file.parent.mkdir(parents=True)
        cv2.imwrite(str(file), astronaut if "eileen" in place else np.zeros_like(astronaut))
    first, second = staff.index_files([tmp_path / "people"])
    assert first.external_image_id == "eileen"
    assert first.new is not None
    assert (second.new, second.reason) == (None, "no face found")
    again, _ = staff.index_files([str(tmp_path / "people")])
    assert again.known
    assert [face.external_image_id for face in staff.list()] == ["eileen"]


def test_without_a_face(staff: Collection) -> None:
    empty = np.full((200, 200, 3), 90, np.uint8)
    for call in (staff.index, staff.search):
        with pytest.raises(NoFaceFound, match="image: no face found"):
            call(empty)
    with pytest.raises(CollectionNotFound):
        len(staff)  # nothing was indexed


def test_what_is_no_image(staff: Collection, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not an image")
    with pytest.raises(MediaError, match=r"notes\.txt: neither JPEG nor PNG"):
        staff.index(tmp_path / "notes.txt")
    with pytest.raises(MediaError, match=r"nowhere\.jpg: No such file"):
        staff.search(tmp_path / "nowhere.jpg")
    with pytest.raises(MediaError, match="zero: neither JPEG nor PNG"):
        staff.search("/dev/zero")  # which has no end
    with pytest.raises(ValueError, match="uint8"):
        staff.search(np.zeros((4, 4), np.uint8))


def test_the_whole_collection_is_deleted(staff: Collection, portrait: Path) -> None:
    staff.index(portrait)
    staff.delete()
    with pytest.raises(CollectionNotFound, match="staff does not exist"):
        staff.search(portrait)
    assert staff.index(portrait).external_image_id == "Eileen::Collins"  # a new one


def test_a_collection_of_another_model(tmp_path: Path, portrait: Path) -> None:
    with Store(tmp_path / "faces.db") as store:
        store.make_collection("staff", "dlib_resnet", metric="euclidean")
    with Collection("staff", store=tmp_path / "faces.db", config=CONFIG) as staff:
        for call in (staff.index, staff.search):
            with pytest.raises(ModelMismatch, match="holds vectors of dlib_resnet"):
                call(portrait)


def test_the_users_own_store_and_configuration_are_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONLOOKER_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "onlooker.toml").write_text('[faces]\nembedder = "mobilefacenet"\n')
    assert load.load().faces.embedder == "mobilefacenet"
    with Collection("staff") as staff, pytest.raises(CollectionNotFound):
        next(staff.list())
    assert default_path().is_file()
    assert default_path().parent == tmp_path / "data"
