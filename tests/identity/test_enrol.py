"""Enrolment: names from paths, images that are refused, runs that are resumed."""

import tracemalloc
from pathlib import Path

import cv2
import numpy as np
import pytest

from onlooker.cli.demo_video import photographs
from onlooker.config.schema import Config
from onlooker.escape import PEOPLE
from onlooker.identity.enrol import (
    _Known,
    enrol,
    external_image_id,
    image_files,
    other_files,
)
from onlooker.identity.errors import InvalidName, ModelMismatch
from onlooker.identity.search.store_searcher import StoreSearcher
from onlooker.media.errors import MediaError
from onlooker.models.card import space
from onlooker.types import StoredFace


def opened(folder: Path) -> StoreSearcher:
    return StoreSearcher(folder / "faces.db", space(Config().faces.embedder))


def touch(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def test_folders_name_their_images_and_flat_files_name_themselves(tmp_path: Path) -> None:
    for place in (
        *("ada/1.jpg", "families/smith/a.PNG", "grace.png", "notes.txt", "ada/x.gif", "joan.jfif"),
        *("ada/._1.jpg", ".Trashes/2.jpg", ".DS_Store"),
    ):
        touch(tmp_path / place)
    found = [
        (path.relative_to(tmp_path).as_posix(), name) for path, name in image_files([tmp_path])
    ]
    assert found == [
        ("ada/1.jpg", "ada"),
        ("families/smith/a.PNG", "smith"),
        ("grace.png", "grace"),
        ("joan.jfif", "joan"),
    ]
    others = [path.relative_to(tmp_path).as_posix() for path in other_files([tmp_path])]
    assert others == ["ada/x.gif", "notes.txt"]
    assert list(other_files([tmp_path / "notes.txt"])) == []


def test_a_file_that_is_named_gets_its_stem(tmp_path: Path) -> None:
    touch(tmp_path / "Ada Lovelace.jpg")
    assert [name for _, name in image_files([tmp_path / "Ada Lovelace.jpg"])] == ["Ada Lovelace"]


def test_a_missing_path_is_named(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="nowhere"):
        list(image_files([tmp_path / "nowhere"]))


def test_a_name_that_is_too_long_is_refused_and_the_others_are_not(tmp_path: Path) -> None:
    """A name of 85 Chinese characters is as long as a file system allows."""
    portrait = cv2.imencode(".png", photographs().astronaut)[1].tobytes()
    names = ["王" * 50, "王" * 51 + "ab", "x" * 250, "王" * 80, "Zoë Q.", "anna", "Anna"]
    for name in names:
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.png").write_bytes(portrait)
    with opened(tmp_path) as store:
        store.create_collection("c")
        outcomes = list(enrol(store, "c", list(image_files([tmp_path])), Config()))
        stored = {face.external_image_id or "" for face in store.faces("c").faces}
    refused = {each.path.parent.name: each.reason for each in outcomes if each.new is None}
    assert {*map(PEOPLE.decode, stored)} | {*refused} == {*names}
    assert [*refused] == ["王" * 51 + "ab", "王" * 80]
    assert "written with 258; give the folder or file a shorter one" in refused["王" * 51 + "ab"]
    with pytest.raises(InvalidName, match="1 to 255 characters, and this name is written with 0"):
        external_image_id("")


def test_a_portrait_is_stored_and_others_have_a_reason(tmp_path: Path) -> None:
    astronaut = photographs().astronaut
    shown = {
        "portrait.png": astronaut,
        "tiny.png": cv2.resize(astronaut, (120, 120), interpolation=cv2.INTER_AREA),
        "empty.png": np.full((200, 300, 3), 127, np.uint8),
    }
    for name, picture in shown.items():
        cv2.imwrite(str(tmp_path / name), picture)
    (tmp_path / "broken.jpg").write_text("no picture")
    settings = Config()
    with opened(tmp_path) as store:
        store.make_collection("c", settings.faces.embedder)
        found = list(image_files([tmp_path]))
        results = {each.path.name: each for each in enrol(store, "c", found, settings)}
        kept = store.faces("c").faces
        again = {each.path.name: each for each in enrol(store, "c", found, settings)}
        assert store.faces("c").faces == kept
    [stored] = kept
    assert results["portrait.png"].new is not None
    assert again["portrait.png"].known
    assert again["tiny.png"] == results["tiny.png"]
    assert stored.external_image_id == "portrait"
    left, top, width, height = stored.box
    # Her face lies around x 178-270, y 70-200 of the 512 x 512 photograph.
    assert 0.3 < left < 0.42
    assert 0.08 < top < 0.22
    assert 0.12 < width < 0.28
    assert 0.15 < height < 0.35
    assert "px wide" in results["tiny.png"].reason
    assert results["empty.png"].reason == "no face found"
    assert results["broken.jpg"].reason.startswith("neither JPEG nor PNG")


def test_the_largest_face_is_enrolled_and_the_others_are_counted(tmp_path: Path) -> None:
    astronaut = photographs().astronaut
    pair = np.full((512, 800, 3), 127, np.uint8)
    pair[:, :512] = astronaut
    pair[100:356, 544:] = cv2.resize(astronaut, (256, 256), interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(tmp_path / "pair.png"), pair)
    config = Config()
    with opened(tmp_path) as store:
        store.make_collection("c", config.faces.embedder)
        [outcome] = enrol(store, "c", list(image_files([tmp_path])), config)
    assert outcome.passed_over == 1
    assert outcome.new is not None
    assert outcome.new.box[0] < 0.5
    assert np.linalg.norm(outcome.new.vector) == pytest.approx(1, abs=1e-5)


def test_a_file_that_cannot_be_read_is_an_outcome(tmp_path: Path) -> None:
    config = Config()
    with opened(tmp_path) as store:
        store.make_collection("c", config.faces.embedder)
        [gone] = enrol(store, "c", [(tmp_path / "gone.png", "gone")], config)
    assert (gone.new, gone.known, gone.reason) == (None, False, "No such file or directory")


def face_of(image: str, name: str | None) -> StoredFace:
    return StoredFace(
        face_id="f", image_id=image, external_image_id=name, box=(0, 0, 1, 1), confidence=99.0
    )


def test_known_images_are_known_by_their_names_too() -> None:
    stored = [face_of(f"image{n}", f"name{n % 7}") for n in range(5000)]
    known = _Known([*stored, face_of("bare", None)])
    assert all((f"image{n}", f"name{n % 7}") in known for n in range(5000))
    assert ("bare", "") in known
    for other in [("image1", "name2"), ("image5000", "name2"), ("bare", "name1"), ("", "")]:
        assert other not in known
    assert ("a", "b") not in _Known([])


def test_a_known_image_takes_sixteen_bytes() -> None:
    """A million of them fit into 16 MB, in one process."""
    many = (face_of(f"image{n}", "name") for n in range(20_000))
    tracemalloc.start()
    known = _Known(many)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert ("image7", "name") in known
    assert held < 17 * 20_000


def test_another_models_collection_is_left_alone(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        store.make_collection("c", "dlib_resnet")
        with pytest.raises(ModelMismatch, match=r"holds vectors of dlib_resnet.*mobilefacenet"):
            list(enrol(store, "c", [(tmp_path / "x.jpg", "x")], Config()))


def test_several_processes_give_the_same_as_one_and_an_interrupted_run_is_resumed(
    tmp_path: Path,
) -> None:
    astronaut = photographs().astronaut
    for number in range(42):
        shown = astronaut.copy()
        shown[:4] = number  # another image each
        cv2.imwrite(str(tmp_path / f"{number:02}.png"), shown)
    found = list(image_files([tmp_path]))
    settings = Config()
    with opened(tmp_path) as store:
        store.make_collection("c", settings.faces.embedder)
        begun = enrol(store, "c", found[:40], settings)
        assert next(begun).path == found[0][0]
        del begun  # interrupted: every outcome that was yielded is stored
        first = store.collection("c").faces
        assert 1 <= first <= 40
        outcomes = list(enrol(store, "c", found, settings, jobs=2))
        assert [each.path for each in outcomes] == [path for path, _ in found]
        assert sum(each.known for each in outcomes) == first
        assert store.collection("c").faces == 42
        names = {face.external_image_id for face in store.faces("c").faces}
    assert names == {f"{number:02}" for number in range(42)}
