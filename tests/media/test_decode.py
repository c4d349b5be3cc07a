"""Colours, rotation and order of decoded frames, for many stored forms."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
import pytest
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange
from av.video.stream import VideoStream

from onlooker.media.decode import Damage, decoded
from onlooker.media.picture import Pixels, Planes
from onlooker.media.timeline import MAX_REORDERED
from onlooker.media.upright import Upright

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


class Packet:
    """A packet that yields frames, or an error."""

    def __init__(self, pts: int | None, *frames: int) -> None:
        self.pts, self.frames = pts, frames

    def decode(self) -> list[VideoFrame]:
        if not self.frames:
            raise av.error.InvalidDataError(1, "bad packet")
        return [at(pts) for pts in self.frames]


class Container:
    """A container of packets in decoding order; None is a read error."""

    def __init__(self, *packets: Packet | None) -> None:
        self.packets = packets
        self.read = 0

    def demux(self, stream: object) -> Iterator[Packet]:
        for packet in self.packets:
            self.read += 1
            if packet is None:
                raise av.error.InvalidDataError(1, "bad container")
            yield packet


class Stream:
    """A decoder that still holds a frame."""

    def __init__(self) -> None:
        self.codec_context, self.thread_count = self, 0

    def decode(self, packet: None) -> list[VideoFrame]:
        return [at(99)]


def at(pts: int) -> VideoFrame:
    frame = VideoFrame(16, 16, "yuv420p")
    frame.pts = pts
    return frame


def order(*packets: Packet | None) -> list[str]:
    """Return the times of the decoded items, damage in brackets."""
    items = decoded(Container(*packets), Stream())  # type: ignore[arg-type]
    return [f"({item.pts})" if isinstance(item, Damage) else str(item.pts) for item in items]


def test_damage_is_in_the_place_of_its_frame() -> None:
    # 3 is decoded first because 1 and 2 depend on it; without it, 4 comes out too early.
    packets = Packet(0, 0), Packet(3), Packet(4, 4), Packet(1, 1), Packet(2, 2)
    assert order(*packets) == ["0", "1", "2", "(3)", "4"]


def test_no_more_frames_are_held_than_necessary() -> None:
    packets = [Packet(0), *(Packet(pts, pts) for pts in range(1, 100))]
    container = Container(*packets)
    first = next(decoded(container, Stream()))  # type: ignore[arg-type]
    assert first.pts == 0
    assert container.read == MAX_REORDERED + 1


def test_damage_without_a_time_stays_in_decoding_order() -> None:
    assert order(Packet(0, 0), Packet(None), Packet(1, 1)) == ["0", "(None)", "1"]


def test_damage_at_the_end_is_reported() -> None:
    assert order(Packet(0, 0), Packet(1), Packet(2)) == ["0", "(1)", "(2)"]


def test_held_frames_come_out_after_a_read_error() -> None:
    assert order(Packet(0, 0), None, Packet(1, 1)) == ["0", "99", "(None)"]


def test_the_decoder_has_one_thread(tmp_path: Path) -> None:
    with av.open(str(video_of(tmp_path / "video.mp4"))) as container:
        assert isinstance(container, InputContainer)
        stream = container.streams.video[0]
        next(decoded(container, stream))
        assert stream.codec_context.thread_count == 1
