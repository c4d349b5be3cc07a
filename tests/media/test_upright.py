"""Colours, rotation, mirroring and pixel shapes of decoded frames, for many stored forms."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import cv2
import numpy as np
import pytest
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange
from av.video.stream import VideoStream
from tests.support import films
from tests.support.garbage import none_left
from tests.support.images import UPRIGHT, corners, tiff, with_exif

from onlooker.media.decode import decoded
from onlooker.media.exif_orientation import Orientation
from onlooker.media.picture import Pixels, Planes
from onlooker.media.upright import Upright
from onlooker.media.video_file import VideoFile

RED, GREEN, BLUE, WHITE = [0, 0, 255], [0, 255, 0], [255, 0, 0], [255, 255, 255]


def quarters() -> Pixels:
    """Return an image of 64 x 48: red and green above blue and white."""
    picture = np.empty((48, 64, 3), np.uint8)
    picture[:24, :32], picture[:24, 32:] = RED, GREEN
    picture[24:, :32], picture[24:, 32:] = BLUE, WHITE
    return picture


def video_of(
    path: Path,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    full_range: bool = False,
    rotation: int = 0,
) -> Path:
    """Write three images of the quarters; `rotation` is in degrees, counter-clockwise."""
    with av.open(str(path), "w") as container:
        stream = cast(VideoStream, container.add_stream(codec, 10))
        stream.width, stream.height, stream.pix_fmt = 64, 48, pix_fmt
        stream.codec_context.time_base = Fraction(1, 10)
        colours = ColorRange.JPEG if full_range else ColorRange.MPEG
        stream.codec_context.color_range = colours
        if rotation:
            stream.set_display_rotation(rotation)
        for pts in range(3):
            frame = VideoFrame.from_ndarray(quarters(), "bgr24")
            frame = frame.reformat(format=pix_fmt, dst_color_range=colours)
            frame.pts = pts
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def test_frames_do_not_wait_for_the_garbage_collector(tmp_path: Path) -> None:
    video = video_of(tmp_path / "video.mp4", rotation=90)
    with none_left(VideoFrame):
        for _, planes in upright_frames(video):
            assert planes.y.shape == (64, 48)
        del planes, _


def upright_frames(path: Path) -> Iterator[tuple[VideoFrame, Planes]]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        upright = Upright(stream)
        for item in decoded(container, stream):
            assert isinstance(item, VideoFrame)
            planes = upright(item)
            assert upright.size(item) == (planes.width, planes.height)
            yield item, planes


def middles(planes: Planes) -> list[list[int]]:
    """Return the BGR values in the middle of the four quarters, in reading order."""
    bgr, _ = planes.region(0, 0, planes.width, planes.height)
    rows, columns = planes.height, planes.width
    points = [(y, x) for y in (rows // 4, rows * 3 // 4) for x in (columns // 4, columns * 3 // 4)]
    return [bgr[point].tolist() for point in points]


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt", "full_range"),
    [
        ("video.mp4", "libx264", "yuv420p", False),
        ("phone.mp4", "libx264", "yuvj420p", True),
        ("tagged.mp4", "libx264", "yuv420p", True),
        ("fine.mp4", "libx264", "yuv444p", False),
        ("deep.mp4", "libx264", "yuv420p10le", False),
        ("rgb.mp4", "libx264rgb", "rgb24", True),
        ("camera.avi", "mjpeg", "yuvj420p", True),
        ("old.avi", "mpeg4", "yuv420p", False),
        ("few.gif", "gif", "rgb8", True),
    ],
)
def test_colours_of_every_pixel_format(
    tmp_path: Path, name: str, codec: str, pix_fmt: str, full_range: bool
) -> None:
    seen = list(upright_frames(video_of(tmp_path / name, codec, pix_fmt, full_range)))
    assert len(seen) == 3
    for _, planes in seen:
        assert np.abs(np.subtract(middles(planes), [RED, GREEN, BLUE, WHITE])).max() <= 5


@pytest.mark.parametrize(
    ("rotation", "expected"),
    [
        (0, [RED, GREEN, BLUE, WHITE]),
        (90, [GREEN, WHITE, RED, BLUE]),
        (180, [WHITE, BLUE, GREEN, RED]),
        (-90, [BLUE, RED, WHITE, GREEN]),
    ],
)
def test_a_rotated_video_becomes_upright(
    tmp_path: Path, rotation: int, expected: list[list[int]]
) -> None:
    for _, planes in upright_frames(video_of(tmp_path / "phone.mp4", rotation=rotation)):
        assert planes.width == (48 if rotation % 180 else 64)
        assert np.abs(np.subtract(middles(planes), expected)).max() <= 5


def test_planes_are_the_decoders_own_memory(tmp_path: Path) -> None:
    _, planes = next(upright_frames(video_of(tmp_path / "video.mp4")))
    assert planes.y.base is not None
    assert planes.y.strides[0] >= 64


TURNS: dict[Orientation, dict[str, object]] = {
    Orientation.UPRIGHT: {"degrees": 0},
    Orientation.MIRROR: {"degrees": 0, "hflip": True},
    Orientation.ROTATE_180: {"degrees": 180},
    Orientation.FLIP: {"degrees": 0, "vflip": True},
    Orientation.TRANSPOSE: {"degrees": 90, "vflip": True},
    Orientation.ROTATE_90: {"degrees": -90},
    Orientation.TRANSVERSE: {"degrees": 90, "hflip": True},
    Orientation.ROTATE_270: {"degrees": 90},
}


def first_image(path: Path) -> Pixels:
    with VideoFile(path) as video:
        frame, planes = next(video.frames("door"))
        assert planes is not None
        assert (frame.width, frame.height) == (planes.width, planes.height)
        assert (video.width, video.height) == (planes.width, planes.height)
        return planes.region(0, 0, planes.width, planes.height)[0]


def similar(shown: Pixels, expected: Pixels) -> bool:
    """Return whether the middles of four by four parts have the same colours."""
    if shown.shape != expected.shape:
        return False
    rows, columns = (np.linspace(0, side, 9)[1::2].astype(int) for side in shown.shape[:2])
    places = np.ix_(rows, columns)
    return int(np.abs(np.subtract(shown[places], expected[places], dtype=int)).max()) <= 8


ROTATIONS = (1, 3, 6, 8)
"""Orientations without mirroring, which Matroska does not have."""


@pytest.mark.parametrize(
    ("name", "orientation"),
    [
        *(("phone.mp4", orientation) for orientation in TURNS),
        *(("phone.mkv", Orientation(number)) for number in ROTATIONS),
    ],
)
def test_every_display_matrix_is_applied(
    tmp_path: Path, orientation: Orientation, name: str
) -> None:
    stored = np.asarray(cv2.resize(corners(), (96, 64), interpolation=cv2.INTER_NEAREST), np.uint8)
    path = films.write(
        tmp_path / name, images=[stored] * 2, pix_fmt="yuv444p", turn=TURNS[orientation]
    )
    assert similar(first_image(path), UPRIGHT[orientation](stored))


@pytest.mark.parametrize("orientation", [Orientation.UPRIGHT, Orientation.ROTATE_90])
@pytest.mark.parametrize(
    ("aspect", "size"),
    [
        (Fraction(1, 2), (96, 128)),
        (Fraction(2, 1), (192, 64)),
        (Fraction(16, 11), (140, 64)),
        (Fraction(1216, 1215), (96, 64)),
        (Fraction(1, 100), (96, 64)),
    ],
)
def test_pixels_become_square(
    tmp_path: Path, aspect: Fraction, size: tuple[int, int], orientation: Orientation
) -> None:
    stored = np.asarray(cv2.resize(corners(), (96, 64), interpolation=cv2.INTER_NEAREST), np.uint8)
    path = films.write(
        tmp_path / "video.mp4", images=[stored] * 2, aspect=aspect, turn=TURNS[orientation]
    )
    square = cv2.resize(stored, size, interpolation=cv2.INTER_NEAREST)
    assert similar(first_image(path), UPRIGHT[orientation](square))


def test_an_absurdly_large_image_is_not_stretched(tmp_path: Path) -> None:
    images = [np.zeros((2160, 4096, 3), np.uint8)]
    path = films.write(tmp_path / "v.mp4", "mpeg4", images=images, aspect=Fraction(7, 1), rate=10)
    assert first_image(path).shape == (2160, 4096, 3)


def test_the_pixel_shape_may_change(tmp_path: Path) -> None:
    # MPEG-2 states the shape of the whole image: 4:3 and 16:9.
    joined = tmp_path / "joined.ts"
    with joined.open("wb") as file:
        for aspect in (Fraction(16, 15), Fraction(64, 45)):
            path = tmp_path / "part.ts"
            films.write(path, "mpeg2video", rate=25, size=(160, 128), aspect=aspect)
            file.write(path.read_bytes())
    with VideoFile(joined) as video:
        frames = [(frame.width, planes) for frame, planes in video.frames("door")]
    assert sorted({width for width, _ in frames}) == [171, 228]
    assert all(planes is not None and planes.width == width for width, planes in frames)


@pytest.mark.parametrize("name", ["video.ts", "video.mp4"])
def test_an_orientation_at_key_frames_holds_up_to_the_next(tmp_path: Path, name: str) -> None:
    """So H.264 has it: the key frames say that the image is upside down, the others nothing."""
    stored = np.asarray(cv2.resize(corners(), (96, 64), interpolation=cv2.INTER_NEAREST), np.uint8)
    plain = films.write(tmp_path / "plain.ts", images=[stored] * 8, pix_fmt="yuv444p")
    turn = "h264_metadata=display_orientation=insert:rotate=180"
    turned = films.filtered(tmp_path / name, plain, turn)
    expected = UPRIGHT[3](stored)
    with VideoFile(turned) as video:
        for _, planes in video.frames("door"):
            assert planes is not None
            assert similar(planes.region(0, 0, 96, 64)[0], expected)
        for frame, planes in video.chosen_frames("door", lambda number: number == 6):
            if frame.index == 6:
                assert planes is not None
                assert similar(planes.region(0, 0, 96, 64)[0], expected)


def test_without_an_orientation_a_key_frame_is_upright(tmp_path: Path) -> None:
    stored = np.asarray(cv2.resize(corners(), (96, 64), interpolation=cv2.INTER_NEAREST), np.uint8)
    plain = films.write(tmp_path / "plain.ts", images=[stored] * 4, pix_fmt="yuv444p")
    turn = "h264_metadata=display_orientation=insert:rotate=90"
    turned = films.filtered(tmp_path / "turned.ts", plain, turn)
    joined = tmp_path / "joined.ts"
    joined.write_bytes(turned.read_bytes() + plain.read_bytes())
    with VideoFile(joined) as video:
        sizes = [(frame.width, frame.height) for frame, _ in video.frames("door")]
    assert sizes == [(64, 96)] * 4 + [(96, 64)] * 4


def test_an_image_is_cropped_at_any_pixel(tmp_path: Path) -> None:
    stored = np.asarray(cv2.resize(corners(), (160, 64), interpolation=cv2.INTER_NEAREST), np.uint8)
    plain = films.write(tmp_path / "plain.ts", images=[stored] * 2)
    crop = "h264_metadata=crop_left=24:crop_right=8:crop_top=4:crop_bottom=2"
    image = first_image(films.filtered(tmp_path / "cropped.ts", plain, crop))
    assert image.shape == (58, 128, 3)
    edge = image[10].astype(int).sum(axis=1)
    # 80 columns of red and 80 of green were there: the border is 24 columns nearer to the left.
    assert int(np.abs(np.diff(edge)).argmax()) + 1 == pytest.approx(56, abs=2)


def test_an_orientation_in_the_exif_of_motion_jpeg(tmp_path: Path) -> None:
    """The decoder attaches kinds of side data that PyAV does not know."""
    data = with_exif(cv2.imencode(".jpg", corners())[1].tobytes(), tiff(6))
    path = tmp_path / "video.mjpeg"
    path.write_bytes(data * 5)
    assert similar(first_image(path), UPRIGHT[6](corners()))
