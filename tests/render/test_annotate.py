"""Annotated copies of videos: records drawn into their own frames, times kept."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from tests.support import films
from tests.support.records import EILEEN, HEIGHT, WIDTH, face, record

from onlooker.media.errors import MediaError
from onlooker.media.video_file import VideoFile
from onlooker.media.video_writer import VideoWriter
from onlooker.render.annotate import annotate


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "video.mp4"
    with VideoWriter(path, WIDTH, HEIGHT, 10, Fraction(1, 16000)) as writer:
        for index in range(6):
            writer.write(np.full((HEIGHT, WIDTH, 3), 128, np.uint8), 8000 + 1600 * index)
    return path


def test_a_video_is_annotated_frame_by_frame(video: Path, tmp_path: Path) -> None:
    # Frame 2 has no record, frame 3 an empty one.
    seen = [record(i, (face(EILEEN),), (), 8000 + 1600 * i) for i in (0, 1, 4, 5)]
    records = [*seen[:2], record(3, pts=8000 + 4800), *seen[2:]]
    annotate(video, records, tmp_path / "out.mp4")
    with VideoFile(video) as before, VideoFile(tmp_path / "out.mp4") as after:
        assert (after.width, after.height, after.rate) == (WIDTH, HEIGHT, 10)
        times = [frame.time for frame, _ in before.frames("video")]
        for time, (frame, planes) in zip(times, after.frames("video"), strict=True):
            assert frame.time == pytest.approx(time)
            assert planes is not None
            bgr, _ = planes.region(96, 180, 104, 190)
            green = int(bgr[:, :, 1].max()) - int(bgr[:, :, 2].max())
            assert (green > 30) == (frame.index not in (2, 3))


def test_records_of_another_video(video: Path, tmp_path: Path) -> None:
    with pytest.raises(
        MediaError, match=r"not of .*: frame 0 is at 8000 in the video and at 77 in the records"
    ):
        annotate(video, [record(0, pts=77)], tmp_path / "out.mp4")
    assert not (tmp_path / "out.mp4").exists()


def test_the_video_itself_is_never_overwritten(video: Path) -> None:
    before = video.read_bytes()
    with pytest.raises(MediaError, match="this is the video itself"):
        annotate(video, [], video.parent / "." / video.name)
    assert video.read_bytes() == before


def test_an_existing_file_is_never_replaced(video: Path, tmp_path: Path) -> None:
    (tmp_path / "out.mp4").write_bytes(b"the user's")
    with pytest.raises(MediaError, match=r"out\.mp4: the file exists"):
        annotate(video, [], tmp_path / "out.mp4")
    assert (tmp_path / "out.mp4").read_bytes() == b"the user's"


@pytest.mark.parametrize("hours", [6, 100])
def test_every_frame_around_a_gap_is_in_the_copy(tmp_path: Path, hours: int) -> None:
    stamps = [0, 1000, 2000, hours * 3_600_000, hours * 3_600_000 + 1000]
    video = films.write(
        tmp_path / "gap.mkv", time_base=Fraction(1, 1000), pts=stamps, count=len(stamps)
    )
    annotate(video, [], tmp_path / "out.mp4")
    with VideoFile(tmp_path / "out.mp4") as after:
        found = [(f.time, films.number_of(p)) for f, p in after.frames("video") if p is not None]
    assert found == [(pts / 1000, number) for number, pts in enumerate(stamps)]
    # Decoded in the order in which they are shown: otherwise ffmpeg leaves frames out.
    assert all(pts == dts for _, pts, dts, _ in films.packets(tmp_path / "out.mp4"))


def test_a_copy_is_upright_and_deinterlaced(tmp_path: Path) -> None:
    video = films.write(
        tmp_path / "video.mp4", turn={"degrees": 90, "hflip": True}, aspect=Fraction(1, 2)
    )
    annotate(video, [], tmp_path / "out.mp4")
    with VideoFile(video) as before, VideoFile(tmp_path / "out.mp4") as after:
        assert (after.width, after.height) == (before.width, before.height) == (96, 128)
        for (_, one), (_, other) in zip(before.frames("a"), after.frames("b"), strict=True):
            assert one is not None
            assert other is not None
            assert np.abs(one.y.astype(int) - other.y).mean() < 3
