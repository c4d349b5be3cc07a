"""Which name a picture gets, and which pictures are turned down."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from onlooker.cli.demo_video import photographs
from onlooker.config.schema import Config
from onlooker.identity.enrol import enrol, external_image_id, image_files
from onlooker.identity.errors import ModelMismatch
from onlooker.identity.search.sqlite_searcher import SqliteSearcher
from onlooker.media.errors import MediaError
from onlooker.models.card import space


def opened(folder: Path) -> SqliteSearcher:
    return SqliteSearcher(folder / "faces.db", space(Config().faces.embedder))


def touch(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def test_folders_name_their_pictures_and_flat_files_name_themselves(tmp_path: Path) -> None:
    for place in ("ada/1.jpg", "families/smith/a.PNG", "grace.png", "notes.txt", "ada/x.gif"):
        touch(tmp_path / place)
    found = [
        (path.relative_to(tmp_path).as_posix(), name) for path, name in image_files([tmp_path])
    ]
    assert found == [
        ("ada/1.jpg", "ada"),
        ("families/smith/a.PNG", "smith"),
        ("grace.png", "grace"),
    ]


def test_a_picture_named_itself_gets_its_stem(tmp_path: Path) -> None:
    touch(tmp_path / "Ada Lovelace.jpg")
    assert [name for _, name in image_files([tmp_path / "Ada Lovelace.jpg"])] == ["Ada_Lovelace"]


def test_a_missing_path_is_named(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="nowhere"):
        list(image_files([tmp_path / "nowhere"]))


@pytest.mark.parametrize(
    ("name", "becomes"), [("Zoë Q.", "Zo__Q."), ("a:b-c_d.e", "a:b-c_d.e"), ("", "_")]
)
def test_names_fit_amazons_pattern(name: str, becomes: str) -> None:
    assert external_image_id(name) == becomes


def test_a_portrait_is_stored_and_others_say_why_not(tmp_path: Path) -> None:
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
        results = {look.path.name: look for look in enrol(store, "c", found, settings)}
        kept = store.faces("c").faces
        again = {look.path.name: look for look in enrol(store, "c", found, settings)}
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


def test_another_models_collection_is_left_alone(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        store.make_collection("c", "dlib_resnet")
        with pytest.raises(ModelMismatch, match=r"holds vectors of dlib_resnet.*mobilefacenet"):
            list(enrol(store, "c", [(tmp_path / "x.jpg", "x")], Config()))


def test_processes_see_what_one_sees_and_a_broken_off_run_goes_on(tmp_path: Path) -> None:
    astronaut = photographs().astronaut
    for number in range(42):
        shown = astronaut.copy()
        shown[:4] = number  # another picture each
        cv2.imwrite(str(tmp_path / f"{number:02}.png"), shown)
    found = list(image_files([tmp_path]))
    settings = Config()
    with opened(tmp_path) as store:
        store.make_collection("c", settings.faces.embedder)
        begun = enrol(store, "c", found[:40], settings)
        assert next(begun).path == found[0][0]
        del begun  # broken off: what was handed on is stored
        first = store.collection("c").faces
        assert 1 <= first <= 40
        looks = list(enrol(store, "c", found, settings, jobs=2))
        assert [look.path for look in looks] == [path for path, _ in found]
        assert sum(look.known for look in looks) == first
        assert store.collection("c").faces == 42
        names = {face.external_image_id for face in store.faces("c").faces}
    assert names == {f"{number:02}" for number in range(42)}
