"""Folders and patterns of images, as videos."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from onlooker.media.errors import MediaError
from onlooker.media.image_folder import MAX_NAMED, ImageFolder
from onlooker.media.open import open_video


def images(folder: Path) -> list[Path]:
    """Write three images of different sizes."""
    paths = []
    for number, (width, height) in enumerate([(64, 48), (65, 49), (40, 60)]):
        bgr = np.full((height, width, 3), (30, 90 + 40 * number, 200), np.uint8)
        paths.append(folder / f"{number}.png")
        cv2.imwrite(str(paths[-1]), bgr)
    return paths


def test_images_in_the_order_of_their_names(tmp_path: Path) -> None:
    images(tmp_path)
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "3.jpg").write_bytes(b"\xff\xd8\xff broken")
    for url in (str(tmp_path), f"{tmp_path}/*.[pj]*g"):
        with open_video(url) as folder:
            found = list(folder.frames("s"))
        sizes = [(frame.width, frame.height) for frame, _ in found]
        assert sizes == [(64, 48), (65, 49), (40, 60), (40, 60)]
        assert [frame.time for frame, _ in found] == [0.0, 1.0, 2.0, 3.0]
        assert found[3][1] is None
        assert (found[3][0].error or "").startswith("3.jpg")
        for number, (_, planes) in enumerate(found[:3]):
            assert planes is not None
            colour = planes.small(1000).mean(axis=(0, 1))
            assert np.abs(colour - (30, 90 + 40 * number, 200)).max() < 4


def test_the_digest_covers_names_and_bytes(tmp_path: Path) -> None:
    paths = images(tmp_path)
    before = ImageFolder(str(tmp_path)).digest
    assert ImageFolder(str(tmp_path)).digest == before
    paths[1].rename(tmp_path / "1b.png")
    assert ImageFolder(str(tmp_path)).digest != before


def test_no_images(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="no image found"):
        open_video(str(tmp_path))
    with pytest.raises(MediaError, match="no image found"):
        open_video(f"{tmp_path}/*.jpg")


def test_an_image_that_vanishes_is_an_error_with_its_name(tmp_path: Path) -> None:
    paths = images(tmp_path)
    folder = ImageFolder(str(tmp_path))
    paths[1].unlink()
    with pytest.raises(MediaError, match=r"1\.png: No such file or directory"):
        _ = folder.digest


def test_an_unreadable_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(MediaError, match="Permission denied") as caught:
        ImageFolder(str(tmp_path))
    assert str(tmp_path) in str(caught.value)


def test_frames_from_a_number_on(tmp_path: Path) -> None:
    images(tmp_path)
    with ImageFolder(str(tmp_path), "known") as folder:
        frames = [frame for frame, _ in folder.frames("s", 1)]
    assert [frame.index for frame in frames] == [1, 2]
    assert {frame.epoch for frame in frames} == {"known"}


def test_broken_images_are_failed_frames_wherever_they_are(tmp_path: Path) -> None:
    images(tmp_path)
    (tmp_path / "-.jpg").write_bytes(b"\xff\xd8\xff broken")
    (tmp_path / "00.jpeg").touch()
    with open_video(str(tmp_path)) as folder:
        assert (folder.width, folder.height) == (64, 48)
        found = list(folder.frames("s"))
    assert [frame.error is None for frame, _ in found] == [False, True, False, True, True]
    assert (found[0][0].width, found[0][0].height) == (64, 48)


def test_a_folder_of_broken_images(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.png"):
        (tmp_path / name).write_text("no image")
    with pytest.raises(MediaError, match=r"none of its 2 images can be decoded; .*a\.jpg: neither"):
        ImageFolder(str(tmp_path))


def test_what_is_left_out_is_named(tmp_path: Path) -> None:
    [first, *_] = images(tmp_path)
    for name in (".DS_Store", "._0.png", "c.webp", "d.TIF"):
        (tmp_path / name).write_bytes(first.read_bytes())
    (tmp_path / "old.jpg").mkdir()
    with ImageFolder(str(tmp_path)) as folder:
        assert [path.name for path in folder.images] == ["0.png", "1.png", "2.png"]
        assert folder.left_out == (
            "c.webp (no JPEG or PNG)",
            "d.TIF (no JPEG or PNG)",
            "old.jpg (a folder)",
            "2 hidden files",
        )
    for number in range(20):
        (tmp_path / f"{number:02}.txt").touch()
    assert ImageFolder(str(tmp_path)).left_out[MAX_NAMED:] == ("13 more", "2 hidden files")


@pytest.mark.parametrize("suffix", [".jfif", ".jpe", ".JPG", ".jpeg", ".Png"])
def test_names_of_images(tmp_path: Path, suffix: str) -> None:
    kind = ".png" if suffix == ".Png" else ".jpg"
    data = cv2.imencode(kind, np.zeros((48, 64, 3), np.uint8))[1].tobytes()
    (tmp_path / f"a{suffix}").write_bytes(data)
    assert len(ImageFolder(str(tmp_path)).images) == 1
