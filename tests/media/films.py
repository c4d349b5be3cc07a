"""Films made for tests, in whatever form a test needs."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange

from onlooker.media.image import Pixels


def make_film(
    path: Path,
    pictures: Iterable[Pixels],
    pix_fmt: str = "yuv420p",
    codec: str = "libx264",
    rate: int = 10,
    rotation: int = 0,
    full_range: bool = False,
    first_pts: int = 0,
    **options: str,
) -> Path:
    """Encode BGR pictures; `rotation` is in degrees against the clock, as a phone stores it."""
    # Bit-exact: no date and no version of the library is written.
    with av.open(str(path), "w", options={"fflags": "bitexact"}) as container:
        stream = container.add_stream(codec, rate)
        stream.options = {"g": "5", **options}
        stream.pix_fmt = pix_fmt
        stream.codec_context.time_base = Fraction(1, rate)
        stream.codec_context.thread_count = 1
        if full_range:
            stream.codec_context.color_range = ColorRange.JPEG
        if rotation:
            stream.set_display_rotation(rotation)
        for number, picture in enumerate(pictures):
            if number == 0:
                stream.height, stream.width = picture.shape[:2]
            frame = VideoFrame.from_ndarray(picture, "bgr24").reformat(
                format=pix_fmt,
                dst_color_range=ColorRange.JPEG if full_range else ColorRange.MPEG,
            )
            frame.pts = number + first_pts
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def copy_film(source: Path, path: Path, **options: str) -> Path:
    """The same packets in another container."""
    with av.open(str(source)) as old, av.open(str(path), "w", options=options) as new:
        stream = old.streams.video[0]
        copy = new.add_stream_from_template(stream)
        for packet in old.demux(stream):
            if packet.dts is not None:  # not the one that ends the stream
                packet.stream = copy
                new.mux(packet)
    return path


def counted(frames: int, width: int = 64, height: int = 48) -> list[Pixels]:
    """Pictures that say which they are: each is grey, of brightness 40 + 4 times its index."""
    return [np.full((height, width, 3), 40 + 4 * index, np.uint8) for index in range(frames)]
