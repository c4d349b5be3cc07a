"""Videos for tests: made with PyAV in any codec and container, with frames that bear their number.

The number is drawn as large black and white squares, so that it survives every codec.
"""

import time
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.bitstream import BitStreamFilterContext
from av.video.stream import VideoStream

from onlooker.media.picture import Pixels, Planes

BITS = 8
SQUARE = 16
SIZE = BITS * SQUARE, 3 * SQUARE
"""Width and height in pixels."""


def numbered(number: int, size: tuple[int, int] = SIZE) -> Pixels:
    """Return an image of a grey gradient that bears `number` along its top, least bit first."""
    width, height = size
    image = np.empty((height, width, 3), np.uint8)
    image[:] = np.linspace(60, 180, width).astype(np.uint8)[None, :, None]
    bit_width = width // BITS
    for bit in range(BITS):
        image[: height // 3, bit * bit_width : (bit + 1) * bit_width] = 235 * (number >> bit & 1)
    return image


def number_of(planes: Planes) -> int:
    """Return the number that an image bears, whatever its size."""
    rows, columns = planes.height // 3, planes.width // BITS
    luma = planes.y[rows // 4 : rows * 3 // 4]
    middles = [luma[:, int(columns * (bit + 0.5))].mean() > 110 for bit in range(BITS)]
    return sum(1 << bit for bit, on in enumerate(middles) if on)


def write(
    path: Path,
    codec: str = "libx264",
    *,
    images: Iterable[Pixels] | None = None,
    count: int = 12,
    first: int = 0,
    rate: int = 10,
    pts: Iterable[int] | None = None,
    time_base: Fraction | None = None,
    pix_fmt: str = "yuv420p",
    size: tuple[int, int] = SIZE,
    container: str | None = None,
    container_options: dict[str, str] | None = None,
    options: dict[str, str] | None = None,
    turn: dict[str, Any] | None = None,
    aspect: Fraction | None = None,
) -> Path:
    """Write a video, and return its path.

    images: default the numbers from `first` on. pts: of each, in units of `time_base`, which is by
    default a frame. turn: arguments of `VideoStream.set_display_rotation`. aspect: width of a
    pixel divided by its height.
    """
    given = [numbered(number, size) for number in range(first, first + count)]
    chosen = list(images) if images is not None else given
    stamps = list(pts) if pts is not None else range(len(chosen))
    with av.open(str(path), "w", format=container, options=container_options or {}) as file:
        stream = file.add_stream(codec, rate)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height = chosen[0].shape[1], chosen[0].shape[0]
        stream.pix_fmt = pix_fmt
        stream.codec_context.time_base = time_base or Fraction(1, rate)
        stream.codec_context.thread_count = 1
        stream.options = dict(options or {})
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        if turn is not None:
            stream.set_display_rotation(**turn)
        frame, drawn = av.VideoFrame(), None
        for image, stamp in zip(chosen, stamps, strict=True):
            if image is not drawn:
                frame = av.VideoFrame.from_ndarray(image, "bgr24").reformat(format=pix_fmt)
                drawn = image
            frame.pts, frame.time_base = stamp, stream.codec_context.time_base
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


def packets(path: Path) -> Iterator[tuple[bytes, int | None, int | None, bool]]:
    """Yield the content, pts, dts and key flag of the packets of a video."""
    with av.open(str(path)) as file:
        for packet in file.demux(video=0):
            if packet.size:
                yield bytes(packet), packet.pts, packet.dts, packet.is_keyframe


def filtered(path: Path, source: Path, name: str) -> Path:
    """Write the packets of `source` as libavcodec's bit stream filter `name` changes them."""
    with av.open(str(source)) as old, av.open(str(path), "w") as new:
        stream = old.streams.video[0]
        change = BitStreamFilterContext(name, stream)
        copy = new.add_stream_from_template(stream)
        for packet in old.demux(stream):
            for changed in change.filter(packet if packet.size else None):
                changed.stream = copy
                new.mux(changed)
    return path


def interlaced(images: Iterable[Pixels], top_first: bool = True) -> list[Pixels]:
    """Return frames each of which has the fields of two images, one after the other."""
    fields = list(images)
    woven = []
    for earlier, later in zip(fields[::2], fields[1::2], strict=True):
        frame = earlier.copy()
        frame[int(top_first) :: 2] = later[int(top_first) :: 2]
        woven.append(frame)
    return woven


def dhav(path: Path, source: Path, milliseconds: int, start: int = 1_700_000_000) -> Path:
    """Write the H.264 packets of `source` as the container of Dahua's recorders has them.

    A frame has the second of the clock and milliseconds in the order of decoding. Its form is that
    of libavformat/dhav.c.
    """
    parts = []
    for number, (data, _, _, key) in enumerate(packets(source)):
        extension = b""
        moment = number * milliseconds
        # 0x80: width and height in units of 8; 0x81: codec (2: H.264) and rate.
        extension += bytes((0x80, 0, SIZE[0] // 8, SIZE[1] // 8))
        extension += bytes((0x81, 0, 2, round(1000 / milliseconds)))
        length = 24 + len(extension) + len(data) + 8
        head = b"DHAV" + bytes((0xFD if key else 0xFC, 0, 0, 0))
        head += number.to_bytes(4, "little") + length.to_bytes(4, "little")
        head += _date(start + moment // 1000).to_bytes(4, "little")
        head += (moment % 65536).to_bytes(2, "little") + bytes((len(extension), 0))
        parts.append(head + extension + data + b"dhav" + length.to_bytes(4, "little"))
    path.write_bytes(b"".join(parts))
    return path


def _date(seconds: int) -> int:
    when = time.gmtime(seconds)
    year = when.tm_year - 2000
    bits = (when.tm_sec, 6), (when.tm_min, 6), (when.tm_hour, 5), (when.tm_mday, 5)
    value, shift = 0, 0
    for number, width in (*bits, (when.tm_mon, 4), (year, 6)):
        value |= number << shift
        shift += width
    return value
