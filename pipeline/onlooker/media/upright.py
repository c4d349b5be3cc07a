"""Decoded frames as upright planes with square pixels."""

import struct
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, cast

import cv2
import numpy as np
from av.buffer import Buffer
from av.sidedata.sidedata import SideDataContainer, Type
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from av.video.reformatter import ColorRange, VideoReformatter
from av.video.stream import VideoStream

from onlooker.media.exif_orientation import Orientation, of_matrix, turned
from onlooker.media.picture import Pixels, Planes

MIN_STRETCH = 1.02
"""Pixels that are less longer than wide than this, or the reverse, are taken for square."""
MAX_STRETCH = 8.0
"""A pixel aspect ratio beyond this is taken for an error."""
MAX_STRETCHED_PIXELS = 36_000_000
"""Maximum pixels of an image that is stretched: a little more than 8K has."""


class Upright:
    """A converter from the decoded frames of a stream to upright planes with square pixels.

    The display matrix of a frame (mirrored or rotated) and the sample aspect ratio of its stream
    are applied, in this order. An image is enlarged, never reduced, to make its pixels square.

    A codec may state the orientation at key frames only: it holds up to the next one, so that all
    frames must be given, to `size` or to be converted, in the order in which they are shown.
    orientation: of frames before the first one that states any.
    """

    def __init__(self, stream: VideoStream, orientation: Orientation = Orientation.UPRIGHT) -> None:
        self.orientation = orientation
        self._context = stream.codec_context
        # The container's, if it has one; otherwise the codec's, which may change.
        self._stated = stream.sample_aspect_ratio
        self._first = self._context.sample_aspect_ratio
        self._reformatter = VideoReformatter()  # reuses its tables for all frames

    def size(self, frame: VideoFrame) -> tuple[int, int]:
        """Return the width and height of the frame's planes."""
        width, height = self._square(frame)
        return (height, width) if self._orientation(frame).swaps else (width, height)

    def __call__(self, frame: VideoFrame) -> Planes:
        """Return I420 planes of limited range.

        They are the decoder's own memory if nothing had to be changed: do not write to them.
        """
        orientation, (width, height) = self._orientation(frame), self._square(frame)
        full_range = is_full_range(frame)
        if full_range or frame.format.name != "yuv420p":
            frame = self._reformatter.reformat(
                frame,
                format="yuv420p",
                src_color_range=ColorRange.JPEG if full_range else None,
                dst_color_range=ColorRange.MPEG,
                threads=1,
            )
        half = (width + 1) // 2, (height + 1) // 2
        sizes = (width, height), half, half
        y, u, v = (
            turned(_stretched(_pixels(plane), *size), orientation)
            for plane, size in zip(frame.planes, sizes, strict=True)
        )
        return Planes(y, u, v)

    def _orientation(self, frame: VideoFrame) -> Orientation:
        # It holds in a sequence of frames, which a key frame need not begin, but mostly does.
        stated = _stated_orientation(frame)
        if stated is not None or frame.key_frame:
            self.orientation = stated or Orientation.UPRIGHT
        return self.orientation

    def _square(self, frame: VideoFrame) -> tuple[int, int]:
        """Return the stored width and height if its pixels were square."""
        now = self._context.sample_aspect_ratio
        ratio = float((self._stated if now == self._first else now) or Fraction(1))
        width, height = frame.width, frame.height
        stretch = max(ratio, 1 / ratio) if ratio > 0 else 1.0
        if MIN_STRETCH <= stretch <= MAX_STRETCH:
            wide = round(width * stretch), height
            tall = width, round(height * stretch)
            found = wide if ratio > 1 else tall
            if found[0] * found[1] <= MAX_STRETCHED_PIXELS:
                return found
        return width, height


def is_full_range(frame: VideoFrame) -> bool:
    """Return whether the brightness of a frame is 0 to 255, and not 16 to 235."""
    return frame.color_range == ColorRange.JPEG or frame.format.name.startswith("yuvj")


def _stated_orientation(frame: VideoFrame) -> Orientation | None:
    try:
        # A container of our own: `frame.side_data` is kept by the frame that it keeps, and such a
        # pair, with the frame's pixels, stays in memory until the garbage collector comes by.
        found: Mapping[Type, Buffer] = cast(Any, SideDataContainer)(frame)
    except ValueError:
        # PyAV does not know some kind of side data. It still knows the angle, mirrored or not.
        return _BY_QUARTER_TURNS[round(frame.rotation / 90) % 4]
    matrix = found.get(Type.DISPLAYMATRIX)
    if matrix is None:
        return None
    return of_matrix(struct.unpack_from("=9i", memoryview(matrix)))


_BY_QUARTER_TURNS = (
    None,
    Orientation.ROTATE_270,
    Orientation.ROTATE_180,
    Orientation.ROTATE_90,
)
"""By the number of counter-clockwise quarter turns; 0 if there is no matrix, too."""


def _stretched(plane: Pixels, width: int, height: int) -> Pixels:
    if plane.shape == (height, width):
        return plane
    return cast(Pixels, cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR))


def _pixels(plane: VideoPlane) -> Pixels:
    """Return a plane's pixels without the padding at the end of its rows."""
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    return rows[: plane.height, : plane.width]
