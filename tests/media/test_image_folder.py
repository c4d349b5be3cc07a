"""Folders and patterns of images, as videos."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from onlooker.media.errors import MediaError
from onlooker.media.image_folder import ImageFolder
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
