"""Videos out: H.264, whole or not at all."""

import os
from contextlib import suppress
from fractions import Fraction
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import av.error
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace

from onlooker.media.errors import MediaError
from onlooker.media.picture import Pixels, to_i420

QUALITY = "20"
"""x264's constant rate factor: lower is better and larger; 18 cannot be told from the original."""

KEY_EVERY = 50
"""Frames from key frame to key frame: what a player must decode to jump."""


class VideoWriter:
    """Writes pictures of one size as an H.264 video, in the container that the name ends in.

    Used in a `with` statement: the file appears under its name when the block ends well, and
    nothing is left of it when it does not. The same pictures give the same bytes.

    rate: frames per second. time_base: seconds that one unit of `pts` lasts; one frame by default.
    Raises MediaError for a folder that cannot be written to, a name whose ending is no container,
    and a video without a frame.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        width: int,
        height: int,
        rate: float | Fraction,
        time_base: Fraction | None = None,
        key_every: int = KEY_EVERY,
    ) -> None:
        self.path = Path(path)
        self.width, self.height = width, height
        exact = Fraction(rate).limit_denominator(1_000_000)
        self._step = 1 if time_base is None else max(1, round(1 / (exact * time_base)))
        self._pts: int | None = None
        # The ending stays last: it names the container.
        self._part = self.path.with_name(f".{self.path.stem}.{os.getpid()}{self.path.suffix}")
        try:
            self._container = av.open(f"file:{self._part}", "w")
        except ValueError as error:
            raise MediaError(
                f"{self.path}: no kind of video ends in {self.path.suffix!r}; name it .mp4"
            ) from error
        self._stream = self._container.add_stream("libx264", exact)
        self._stream.options = {"crf": QUALITY, "preset": "veryfast", "g": str(key_every)}
        # x264 refuses odd sides for 4:2:0: the last column and row are written twice.
        self._stream.width, self._stream.height = width + width % 2, height + height % 2
        self._stream.pix_fmt = "yuv420p"
        context = self._stream.codec_context
        context.time_base = self._stream.time_base = time_base or 1 / exact
        context.thread_count = 1  # with more, the bytes depend on how many there are
        # What cvtColor makes below; without it a player takes a large video for BT.709.
        context.color_range = ColorRange.MPEG
        context.colorspace = Colorspace.SMPTE170M
        try:
            self._container.start_encoding()
        except av.error.FFmpegError as error:
            raise self._unwritten(error) from error

    def write(self, bgr: Pixels, pts: int | None = None) -> None:
        """Append a picture of (height, width, 3), to be shown from `pts` on.

        `pts` is in units of the time base and goes up, else it is moved behind the one before;
        without it the picture comes one frame's time after that. Raises MediaError for a full disk.
        """
        if bgr.shape != (self.height, self.width, 3):
            raise ValueError(f"a frame of {self.path} is {self.width} x {self.height}: {bgr.shape}")
        if pts is None:
            pts = 0 if self._pts is None else self._pts + self._step
        elif self._pts is not None:
            pts = max(pts, self._pts + 1)
        self._pts = pts
        frame = VideoFrame.from_ndarray(to_i420(bgr), "yuv420p")
        frame.pts = pts
        frame.time_base = self._stream.codec_context.time_base
        self._encode(frame)

    def _encode(self, frame: VideoFrame | None) -> None:
        try:
            self._container.mux(self._stream.encode(frame))
        except av.error.FFmpegError as error:
            raise self._unwritten(error) from error

    def _unwritten(self, error: av.error.FFmpegError | OSError) -> MediaError:
        return MediaError(f"{self.path}: cannot be written ({error.strerror})")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            # Closing can fail only on a disk that is full, and that error is under way already.
            with suppress(av.error.FFmpegError):
                self._container.close()
            self._part.unlink(missing_ok=True)

    def _finish(self) -> None:
        if self._pts is None:
            raise MediaError(f"{self.path}: not written, a video needs a frame")
        self._encode(None)
        try:
            self._container.close()
            self._part.replace(self.path)
        except (av.error.FFmpegError, OSError) as error:
            raise self._unwritten(error) from error
