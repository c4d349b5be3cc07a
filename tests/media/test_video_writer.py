"""Written videos: the same images and times are read back, or no file is left."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from onlooker.media.errors import MediaError
from onlooker.media.picture import Pixels
from onlooker.media.video_file import VideoFile
from onlooker.media.video_writer import VideoWriter


def grey(brightness: int, width: int = 64, height: int = 48) -> Pixels:
    return np.full((height, width, 3), brightness, np.uint8)


@pytest.mark.parametrize(("width", "height"), [(64, 48), (65, 48), (64, 49), (65, 49)])
def test_images_are_read_back(tmp_path: Path, width: int, height: int) -> None:
    path = tmp_path / "video.mp4"
    picture = grey(0, width, height)
    picture[: height // 2, :, 2], picture[height // 2 :, :, 1] = 255, 255  # red above green
    with VideoWriter(path, width, height, 25) as writer:
        for _ in range(10):
            writer.write(picture)
    with VideoFile(path) as video:
        assert (video.rate, video.frames_expected) == (25, 10)
        assert (video.width, video.height) == (width + width % 2, height + height % 2)
        for _, planes in video.frames("video"):
            assert planes is not None
            bgr, _ = planes.region(0, 0, width, height)
            assert np.abs(bgr[height // 4, width // 2].astype(int) - (0, 0, 255)).max() < 12
            assert np.abs(bgr[height * 3 // 4, width - 1].astype(int) - (0, 255, 0)).max() < 12
    assert list(tmp_path.iterdir()) == [path]


def test_times_are_kept(tmp_path: Path) -> None:
    path, times = tmp_path / "video.mp4", [25020, 26021, 27022, 30025, 30026]
    with VideoWriter(path, 64, 48, 29.97, Fraction(1, 30000)) as writer:
        for pts in times:
            writer.write(grey(90), pts)
    with VideoFile(path) as video:
        frames = [frame for frame, _ in video.frames("video")]
    assert [round(frame.time * 30000) for frame in frames] == times


def test_times_that_do_not_increase_are_moved(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    with VideoWriter(path, 64, 48, 10, Fraction(1, 1000)) as writer:
        for pts in (0, 500, 500, 400, None):
            writer.write(grey(90), pts)
    with VideoFile(path) as video:
        times = [round(frame.time * 1000) for frame, _ in video.frames("video")]
    assert times == [0, 500, 501, 502, 602]


def test_the_same_images_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one.mp4", "two.mp4"):
        with VideoWriter(tmp_path / name, 64, 48, 25) as writer:
            for brightness in range(0, 250, 10):
                writer.write(grey(brightness))
    assert (tmp_path / "one.mp4").read_bytes() == (tmp_path / "two.mp4").read_bytes()


def test_the_colours_are_declared(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "video.mp4", 64, 48, 25) as writer:
        writer.write(grey(90))
    with av.open(str(tmp_path / "video.mp4")) as container:
        context = container.streams.video[0].codec_context
        assert (context.pix_fmt, context.color_range) == ("yuv420p", 1)
        assert context.colorspace in (5, 6)  # BT.601, of 625 or of 525 lines


def test_an_unfinished_video_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    path.write_bytes(b"the video before")

    def broken_off() -> None:
        with VideoWriter(path, 64, 48, 25, overwrite=True) as writer:
            for brightness in range(200):
                writer.write(grey(brightness))
            raise KeyError

    with pytest.raises(KeyError):
        broken_off()
    assert [file.name for file in tmp_path.iterdir()] == ["video.mp4"]
    assert path.read_bytes() == b"the video before"


def test_an_existing_file_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    path.write_bytes(b"the user's")
    with pytest.raises(MediaError, match="the file exists; delete it, or name another one"):
        VideoWriter(path, 64, 48, 25)
    assert path.read_bytes() == b"the user's"


def test_a_file_that_appears_meanwhile_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    writer = VideoWriter(path, 64, 48, 25)
    writer.write(grey(90))
    with pytest.raises(MediaError, match="the file exists"), writer:
        path.write_bytes(b"the user's")
    assert path.read_bytes() == b"the user's"
    assert list(tmp_path.iterdir()) == [path]


def test_an_existing_file_is_replaced_on_request(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    path.write_bytes(b"an older video")
    with VideoWriter(path, 64, 48, 25, overwrite=True) as writer:
        writer.write(grey(90))
    with VideoFile(path) as video:
        assert video.frames_expected == 1


def test_errors_of_the_block_are_left_alone(tmp_path: Path) -> None:
    writer = VideoWriter(tmp_path / "video.mp4", 64, 48, 25)
    with pytest.raises(FileExistsError, match="of the block"), writer:
        raise FileExistsError("of the block")
    assert not list(tmp_path.iterdir())


def test_a_video_needs_a_frame(tmp_path: Path) -> None:
    writer = VideoWriter(tmp_path / "video.mp4", 64, 48, 25)
    with pytest.raises(MediaError, match="needs a frame"), writer:
        pass
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("missing/video.mp4", "cannot be written .No such file or directory"),
        ("video.txt", "'.txt' is no suffix of a video that can be written; name it .mp4"),
        ("video", "'' is no suffix of a video"),
    ],
)
def test_paths_that_cannot_be_written(tmp_path: Path, name: str, cause: str) -> None:
    with pytest.raises(MediaError, match=cause):
        VideoWriter(tmp_path / name, 64, 48, 25)
    assert not list(tmp_path.iterdir())


def test_a_full_disk(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource", reason="the limit on a file's size is Unix's")
    noise = np.random.default_rng(0).integers(0, 256, (60, 480, 640, 3)).astype(np.uint8)

    def write() -> None:
        with VideoWriter(tmp_path / "video.mp4", 640, 480, 25) as writer:
            for picture in noise:
                writer.write(picture)

    # A limit on file sizes fails as a full disk does, with another errno.
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, before[1]))
    try:
        with pytest.raises(MediaError, match=r"cannot be written \(File too large\)"):
            write()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.iterdir())


def test_an_image_of_another_size(tmp_path: Path) -> None:
    writer = VideoWriter(tmp_path / "video.mp4", 64, 48, 25)
    with pytest.raises(ValueError, match="is 64 x 48"), writer:
        writer.write(grey(90, 64, 64))
    assert not list(tmp_path.iterdir())
