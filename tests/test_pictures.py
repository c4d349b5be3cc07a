"""The photographs of the tests: pinned, licensed, there, and as they are written down."""

import os
from pathlib import Path

import cv2
import pytest
from tests.support import pictures as fetched
from tests.support.faces_by_eye import faces_by_eye

FREE = {"MIT", "Apache-2.0", "BSD-3-Clause", "CC0-1.0"}


def test_every_package_has_a_licence_that_allows_it_and_an_author() -> None:
    found = fetched.packages()
    assert len(found) >= 3
    names = [file.name for package in found for file in package.files]
    assert len(names) == len(set(names)) >= 15
    for package in found:
        assert package.licence in FREE
        assert package.attribution


def test_all_are_there_and_every_image_can_be_read(pictures: Path) -> None:
    there = {path.relative_to(pictures).as_posix() for path in pictures.rglob("*.*")}
    listed = {file.name for package in fetched.packages() for file in package.files}
    made = {*fetched.CROPS, *(name for names in fetched.FRAMES.values() for name in names)}
    assert there == listed | made | {"groups/two_people.jpg"}
    assert set(faces_by_eye()) <= there
    for name, faces in faces_by_eye().items():
        height, width = fetched.read(pictures / name).shape[:2]
        for face in faces:
            left, top, right, bottom = face.box
            assert 0 <= left < right <= width
            assert 0 <= top < bottom <= height


def test_without_a_network_tests_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda name: str(tmp_path))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with pytest.raises(pytest.skip.Exception, match=r"no pictures: .*check the network"):
        fetched.folder()
    assert not list(tmp_path.glob("pictures-*[0-9a-f]"))


def test_a_crop_has_the_one_woman(pictures: Path) -> None:
    for name, (source, (left, top, right, bottom)) in fetched.CROPS.items():
        crop = fetched.read(pictures / name)
        whole = fetched.read(pictures / source)
        assert cv2.norm(crop, whole[top:bottom, left:right]) == 0
