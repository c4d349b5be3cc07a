"""Each kind of URL opens its kind of video."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from onlooker.config.schema import SourceConfig
from onlooker.media.errors import MediaError
from onlooker.media.image_folder import ImageFolder
from onlooker.media.open import frames, open_video, with_last
from onlooker.media.picture import Planes
from onlooker.media.synthetic import SyntheticVideo
from onlooker.media.video_file import VideoFile
from onlooker.media.video_writer import VideoWriter
from onlooker.types import Frame

URL = "test://moving?size=64x48&frames=5"


def test_a_file_whose_name_looks_like_a_pattern(tmp_path: Path) -> None:
    (tmp_path / "a[b].mp4").write_bytes(b"not a video")
    with pytest.raises(MediaError, match="not a video"):
        open_video(f"{tmp_path}/a[b].mp4")


def test_each_kind_of_url(tmp_path: Path) -> None:
    grey = np.full((48, 64, 3), 90, np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), grey)
    with VideoWriter(tmp_path / "a.mp4", 64, 48, 25) as writer:
        writer.write(grey)
    for url, kind in (
        (f"{tmp_path}/a.mp4", VideoFile),
        (f"file://{tmp_path}/a.mp4", VideoFile),
        (str(tmp_path), ImageFolder),
        (f"{tmp_path}/*.png", ImageFolder),
        ("test://moving?size=64x48&frames=1", SyntheticVideo),
    ):
        with open_video(url) as video:
            assert type(video) is kind
            assert (video.width, video.height, video.frames_expected) == (64, 48, 1)
            assert [frame.epoch for frame, _ in video.frames("s")] == [video.digest]
        with open_video(url, "known") as video:
            assert [frame.epoch for frame, _ in video.frames("s")] == ["known"]


@pytest.mark.parametrize("source", [SourceConfig(url=URL), SourceConfig(url=URL, nth=2)])
def test_the_last_frame_that_is_selected_is_marked(source: SourceConfig) -> None:
    found = [frame for frame, _ in frames("s", source, "e", 0)]
    assert len(found) == 5 // source.nth + 5 % source.nth
    assert [frame.last for frame in found] == [False] * (len(found) - 1) + [True]


def test_a_video_that_is_complete_has_no_last_frame() -> None:
    assert list(frames("s", SourceConfig(url=URL), "e", 5)) == []


def test_the_frame_before_a_fault_is_the_last() -> None:
    def broken() -> Iterator[tuple[Frame, Planes | None]]:
        yield from (item for item in frames("s", SourceConfig(url=URL), "e", 3))
        raise MediaError("the rest is missing")

    found = with_last(broken())
    assert next(found)[0].index == 3
    assert next(found)[0].last
    with pytest.raises(MediaError, match="the rest is missing"):
        next(found)


@pytest.mark.parametrize(
    ("settings", "searches"),
    [
        ({}, {"finer", "usual", "none"}),
        ({"text": False}, {"usual", "none"}),
        ({"detect_every": 1}, {"usual"}),
        ({"policy": "live"}, {"usual"}),
    ],
)
def test_searches_are_scheduled_where_frames_are_not_dropped(
    settings: dict[str, Any], searches: set[str]
) -> None:
    url = "test://moving?size=64x48&fps=25&frames=20"
    whole = list(frames("s", SourceConfig(url=url, **settings), "e", 0))
    assert {frame.text for frame, _ in whole} == searches
    assert all(frame.carried == (frame.text == "none") for frame, _ in whole)
    assert [each for each, _ in frames("s", SourceConfig(url=url, **settings), "e", 7)] == [
        each for each, _ in whole[7:]
    ]
