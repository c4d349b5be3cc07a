"""The demo's video: the same every time, and made from installed photographs."""

import dataclasses
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from onlooker.cli import demo_video
from onlooker.cli.demo_video import View, make_video, photographs, render, shots
from onlooker.media.errors import MediaError
from onlooker.media.image import read
from onlooker.media.video_file import VideoFile


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_video(tmp_path_factory.mktemp("demo"))


def test_the_video_has_four_shots_with_cuts_between(made: tuple[Path, Path]) -> None:
    with VideoFile(made[0]) as video:
        assert (video.width, video.height, video.rate) == (1280, 720, 25)
        small = [p.small(64).astype(int) for _, p in video.frames("video") if p is not None]
        assert len(small) == video.frames_expected == 240
    change = [float(np.abs(b - a).mean()) for a, b in pairwise(small)]
    cuts = [round(sum(s.seconds for s in shots(photographs())[:n]) * 25) - 1 for n in (1, 2, 3)]
    assert sorted(np.argsort(change)[-3:].tolist()) == cuts
    # Between cuts the image moves, but never jumps.
    assert max(c for n, c in enumerate(change) if n not in cuts) < min(change[n] for n in cuts) / 3


def test_the_video_shows_the_photographs(made: tuple[Path, Path]) -> None:
    with VideoFile(made[0]) as video:
        _, planes = next(video.frames("video"))
    assert planes is not None
    expected = render(photographs().astronaut, shots(photographs())[0].start)
    bgr, _ = planes.region(0, 0, 1280, 720)
    assert np.abs(bgr.astype(int) - expected).mean() < 4


def test_the_portrait_is_one_image_of_one_person(made: tuple[Path, Path]) -> None:
    assert [str(path.relative_to(made[1])) for path in made[1].rglob("*.*")] == [
        "Eileen Collins/portrait.png"
    ]
    portrait = read(made[1] / "Eileen Collins" / "portrait.png")
    assert (portrait.width, portrait.height) == (221, 238)


def test_the_visitor_is_a_frame_of_the_video(made: tuple[Path, Path]) -> None:
    with VideoFile(made[0]) as video:
        frames = [planes for _, planes in video.frames("video")]
    shown = frames[round(shots(photographs())[0].seconds * 25) - 1]
    assert shown is not None
    visitor = read(made[0].parent / "visitor.png")
    assert np.abs(shown.region(0, 0, 1280, 720)[0].astype(int) - visitor.bgr).mean() < 4


def test_made_again_the_video_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    short = [dataclasses.replace(shot, seconds=shot.seconds / 8) for shot in shots(photographs())]
    monkeypatch.setattr(demo_video, "shots", lambda _: short)
    first, again = (make_video(tmp_path / name)[0] for name in ("first", "again"))
    assert again.read_bytes() == first.read_bytes()


def test_views_move_evenly_and_zoom_geometrically() -> None:
    start, end = View(0, 10, 100), View(40, 30, 400)
    assert start.towards(end, 0) == start
    assert start.towards(end, 1) == end
    assert start.towards(end, 0.5) == View(20, 20, 200)


def test_without_scikit_image_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(demo_video, "find_spec", lambda name: None)
    with pytest.raises(MediaError, match=r'pip install "onlooker\[demo\]"'):
        make_video(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(MediaError, match=r"file.*Not a directory"):
        make_video(tmp_path / "file" / "demo")
