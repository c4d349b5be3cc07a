"""Video files out: H.264, written whole or not at all."""

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

from onlooker import durable_file
from onlooker.media.errors import MediaError
from onlooker.media.picture import Pixels, to_i420

QUALITY = "20"
"""x264's constant rate factor: lower is better and larger; 18 is visually lossless."""

KEY_EVERY = 50
"""Frames from one key frame to the next: the number that a player must decode to seek."""


MP4_SUFFIXES = (".mp4", ".mov", ".m4v")
SUFFIXES = (*MP4_SUFFIXES, ".mkv", ".ts", ".avi", ".flv", ".h264")
"""Suffixes of containers for H.264."""


def check_suffix(path: Path) -> None:
    """Raise MediaError if no video can be written under the name of `path`."""
    if path.suffix.lower() not in SUFFIXES:
        raise MediaError(
            f"{path}: {path.suffix!r} is no suffix of a video that can be written; name it .mp4"
        )


class VideoWriter:
    """A writer of images of one size into an H.264 video; the name's suffix gives the container.

    Use it in a `with` statement: the file appears under its name if the block ends well, and
    nothing is left of it otherwise. The same images give the same bytes. A file that exists is kept
    unless `overwrite`.

    rate: frames per second. time_base: seconds that one unit of `pts` lasts; None means one frame.
    MP4 has room for 2^31 units between two images.
    Raises MediaError if the file exists or cannot be written, if the suffix is no container, and if
    no frame was written.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        width: int,
        height: int,
        rate: float | Fraction,
        time_base: Fraction | None = None,
        key_every: int = KEY_EVERY,
        *,
        overwrite: bool = False,
    ) -> None:
        self.path = Path(path)
        check_suffix(self.path)
        self.width, self.height = width, height
        if not overwrite and self.path.exists():
            raise self._exists()
        exact = Fraction(rate).limit_denominator(1_000_000)
        self.time_base = time_base or 1 / exact
        self._step = max(1, round(1 / (exact * self.time_base)))
        self._pts: int | None = None
        self._replacing = durable_file.replacing(self.path, overwrite=overwrite)
        part = self._replacing.__enter__()
        try:
            self._open(part, exact, key_every)
        except BaseException as failure:
            self._replacing.__exit__(type(failure), failure, failure.__traceback__)
            raise

    def _open(self, part: Path, rate: Fraction, key_every: int) -> None:
        # Otherwise MP4 makes the units finer, and has room for shorter gaps only.
        mp4 = self.path.suffix.lower() in MP4_SUFFIXES
        units = {"video_track_timescale": str(self.time_base.denominator)} if mp4 else {}
        self._container = av.open(f"file:{part}", "w", options=units)
        self._stream = self._container.add_stream("libx264", rate)
        # Without B-frames: those that are reordered over a gap of hours get time stamps in MP4 at
        # which ffmpeg leaves frames out.
        self._stream.options = {
            "crf": QUALITY,
            "preset": "veryfast",
            "g": str(key_every),
            "bf": "0",
            # Its choices depend, about once in 200 videos, on where the memory lies.
            "x264-params": "mbtree=0",
        }
        # x264 refuses odd sides for 4:2:0: `to_i420` repeats the last column and row.
        self._stream.width = self.width + self.width % 2
        self._stream.height = self.height + self.height % 2
        self._stream.pix_fmt = "yuv420p"
        context = self._stream.codec_context
        context.time_base = self._stream.time_base = self.time_base
        context.thread_count = 1  # with more, the bytes depend on the number of threads
        # The colours that `to_i420` makes; otherwise players assume BT.709 for large videos.
        context.color_range = ColorRange.MPEG
        context.colorspace = Colorspace.SMPTE170M
        try:
            self._container.start_encoding()
        except av.error.FFmpegError as error:
            raise self._unwritten(error) from error

    def write(self, bgr: Pixels, pts: int | None = None) -> None:
        """Append an image of (height, width, 3), to be shown from `pts` on.

        `pts` is in units of the time base and must increase; otherwise it is moved behind the
        previous one. None means one frame's time after that. Raises MediaError if the disk is full.
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
        frame.time_base = self.time_base
        self._encode(frame)

    def _encode(self, frame: VideoFrame | None) -> None:
        try:
            self._container.mux(self._stream.encode(frame))
        except av.error.FFmpegError as error:
            raise self._unwritten(error) from error

    def _unwritten(self, error: av.error.FFmpegError | OSError) -> MediaError:
        return MediaError(f"{self.path}: cannot be written ({error.strerror})")

    def _exists(self) -> MediaError:
        return MediaError(f"{self.path}: the file exists; delete it, or name another one")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        failure = error
        if error is None:
            try:
                self._finish()
            except MediaError as unfinished:
                failure = unfinished
        with suppress(av.error.FFmpegError):  # a full disk, which is the failure already
            self._container.close()
        trace = failure.__traceback__ if failure else None
        try:
            self._replacing.__exit__(type(failure) if failure else None, failure, trace)
        except FileExistsError as exists:
            raise self._exists() from exists
        except OSError as unwritten:
            raise self._unwritten(unwritten) from unwritten
        if failure is not None and failure is not error:
            raise failure

    def _finish(self) -> None:
        if self._pts is None:
            raise MediaError(f"{self.path}: not written, a video needs a frame")
        self._encode(None)
        try:
            self._container.close()
        except av.error.FFmpegError as error:
            raise self._unwritten(error) from error
