"""The same faces, names, words and numbers as before.

`tests/golden` holds what an earlier version said, in full precision on the CPU, reduced by
`tests.support.golden`: about the samples the one before the renovation of November 2026 (commit
56677ec), about everybody's pictures the one of 27 November 2026. A change of these files is a
change of what users get. After a rightful one `python -m tests.support.golden_runs` writes those
of everybody's pictures again.
"""

import json
from pathlib import Path

import pytest
from tests.support import golden
from tests.support.golden_runs import (
    GOLDEN,
    IMAGES,
    SAMPLE_VIDEOS,
    VIDEOS,
    answers,
    everybodys,
    index,
    replayed,
)

SAMPLES = json.loads((GOLDEN / "images.json").read_text(encoding="utf-8"))
SHIPPED = [name for name in SAMPLES if "/" not in name]
"""The images that scikit-image brings."""


def compare(found: golden.Json, file: str, name: str | None = None) -> None:
    """Compare with a file of `tests/golden`, or with the entry `name` in it."""
    before = json.loads((GOLDEN / file).read_text(encoding="utf-8"))
    different = golden.differences(found, before if name is None else before[name])
    assert different == [], "\n".join(different[:20])


@pytest.fixture(scope="module")
def place(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return everybodys(tmp_path_factory.mktemp("golden"))


@pytest.fixture(scope="module")
def known(place: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a configuration and a collection of the people in everybody's pictures."""
    folder = tmp_path_factory.mktemp("known")
    index(folder, place / "people")
    return folder


@pytest.mark.parametrize("video", VIDEOS)
def test_a_video(video: str, known: Path, place: Path) -> None:
    compare(replayed(known, place, VIDEOS[video]), f"{video}.json")


def test_images(place: Path, tmp_path: Path) -> None:
    found = answers(tmp_path, place, [*IMAGES, *SHIPPED])
    for name in IMAGES:
        compare(found[name], "pictures.json", name)
    for name in SHIPPED:
        compare(found[name], "images.json", name)


@pytest.fixture(scope="module")
def known_samples(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a configuration and a collection of everybody in the samples."""
    folder = tmp_path_factory.mktemp("samples")
    index(folder, samples / "faces" / "identities")
    return folder


@pytest.mark.parametrize("video", SAMPLE_VIDEOS)
def test_a_video_of_the_samples(video: str, known_samples: Path, samples: Path) -> None:
    compare(replayed(known_samples, samples, SAMPLE_VIDEOS[video]), f"{video}.json")


def test_images_of_the_samples(samples: Path, tmp_path: Path) -> None:
    names = [name for name in SAMPLES if name not in SHIPPED]
    for name, found in answers(tmp_path, samples, names).items():
        compare(found, "images.json", name)
