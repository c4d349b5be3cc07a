"""Each kind of URL opens its kind of video."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from onlooker.media.errors import MediaError
from onlooker.media.image_folder import ImageFolder
from onlooker.media.open import open_video
from onlooker.media.synthetic import SyntheticVideo
from onlooker.media.video_file import VideoFile
from onlooker.media.video_writer import VideoWriter


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
