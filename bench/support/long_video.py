"""A long video with faces and text: a minute of photographs in motion, repeated by its packets."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.stream import VideoStream

from onlooker.cli.demo_video import HEIGHT, WIDTH, photographs, render, shots
from onlooker.media.picture import Pixels

RATE = 30
SECONDS = 60
BIT_RATE = 3_000_000
"""Bits per second that videos of this size usually have."""
NOISE = 3.0
"""Standard deviation of the noise of a sensor, of 255."""


def make(path: Path, seconds: int) -> Path:
    """Write a video of 1280 x 720 at 30 frames per second, and return its path.

    It is H.264 as x264 makes it by default: B-frames, a key frame every 250 frames or at a cut.
    """
    minute = path.with_suffix(".minute.mp4")
    with av.open(str(minute), "w") as file:
        stream = file.add_stream("libx264", RATE)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.time_base = Fraction(1, RATE)
        stream.bit_rate = BIT_RATE
        stream.options = {"preset": "veryfast"}
        for number, image in enumerate(_images(min(SECONDS, seconds) * RATE)):
            frame = av.VideoFrame.from_ndarray(image, "bgr24")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    _repeat(minute, path, max(1, seconds // SECONDS))
    minute.unlink()
    return path


def _images(count: int) -> Iterator[Pixels]:
    random, photos = np.random.default_rng(7), photographs()
    noise = random.normal(0, NOISE, (HEIGHT, WIDTH, 1)).astype(np.int16).repeat(3, 2)
    number = 0
    while True:
        for shot in shots(photos):
            frames = round(shot.seconds * RATE) * 2
            for step in range(frames):
                if number == count:
                    return
                view = shot.start.towards(shot.end, step / (frames - 1))
                grain = np.roll(noise, random.integers(0, WIDTH, 2), (0, 1))
                noisy = render(shot.photograph, view) + grain
                yield np.clip(noisy, 0, 255).astype(np.uint8)
                number += 1


def _repeat(source: Path, path: Path, times: int) -> None:
    """Write the packets of a video `times` times, one after the other."""
    with av.open(str(path), "w") as out:
        target: VideoStream | None = None
        offset = 0
        for _ in range(times):
            with av.open(str(source)) as file:
                stream = file.streams.video[0]
                if target is None:
                    target = out.add_stream_from_template(stream)
                duration = stream.duration or 0
                for packet in file.demux(stream):
                    if packet.pts is None or packet.dts is None:
                        continue
                    packet.pts, packet.dts = packet.pts + offset, packet.dts + offset
                    packet.stream = target
                    out.mux(packet)
                offset += duration
