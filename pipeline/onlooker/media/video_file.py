"""Video files: their size, and their frames with the container's time stamps."""

import hashlib
from collections.abc import Generator, Iterator
from fractions import Fraction
from itertools import chain
from os import PathLike
from pathlib import Path
from typing import NamedTuple, cast

import av
from av.container import InputContainer
from av.format import Flags
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from onlooker.config import schema
from onlooker.media.container import open_file, video_stream
from onlooker.media.decode import Damage, decoded
from onlooker.media.deinterlace import Deinterlacer
from onlooker.media.errors import MediaError
from onlooker.media.exif_orientation import Orientation
from onlooker.media.picture import Planes
from onlooker.media.sparse_decode import Choose, Skipped, sparsely_decoded, suits
from onlooker.media.timeline import MAX_GAP_SECONDS, MAX_START_SECONDS, Timeline
from onlooker.media.upright import Upright, is_full_range
from onlooker.media.video import Video
from onlooker.types import Frame

Items = Iterator[VideoFrame | Damage | Skipped]

DEFAULT_RATE = 25.0
"""Frames per second of a video that states none."""
MAX_RATE = 1000.0
"""A higher rate is a clock's, not that of frames."""


class VideoFile(Video):
    """A video file.

    The constructor opens it and decodes its first image; the first iteration continues there.
    Raises MediaError, one line with the path and the cause, if it is no video or if no image in it
    can be decoded.

    `pts` is the container's own, and increases from frame to frame: where it jumps back, as in
    files that were joined, time goes on instead. Dates are counted from the first frame. A frame
    without a time stamp, as in streams without a container, follows the frame before it after that
    one's duration. Width and height are each image's own, as they may change; a frame without an
    image has those of the frame before it.
    """

    codec: str
    container: str
    """Both as libav names them, such as "h264" and "QuickTime / MOV"."""
    full_range: bool
    """Whether brightness is 0 to 255, and not 16 to 235."""

    def __init__(
        self,
        path: str | PathLike[str],
        digest: str | None = None,
        deinterlace: schema.Deinterlace = "auto",
    ) -> None:
        super().__init__(Path(path), digest)
        self._deinterlace = deinterlace
        self._orientation = Orientation.UPRIGHT
        opened = self._open()
        head: list[VideoFrame | Damage | Skipped] = []
        for item in opened.items:
            head.append(item)
            if isinstance(item, VideoFrame):
                self.width, self.height = opened.upright.size(item)
                self.full_range = is_full_range(item)
                self._orientation = opened.upright.orientation  # its key frame may be skipped later
                self._plain = not opened.deinterlacer.used
                break
        else:
            opened.container.close()
            raise MediaError(f"{self.path}: no image in it can be decoded")
        container, stream = opened.container, opened.stream
        assert stream.time_base is not None  # libav gives every stream one
        self.time_base = Fraction(stream.time_base.numerator, stream.time_base.denominator)
        self.codec, self.container = stream.codec_context.name, container.format.long_name
        self._stamped = not container.format.flags & cast(int, Flags.no_timestamps.value)
        self.rate = _rate(stream, stated=self._stamped)
        self.seconds = _seconds(container, stream) if self._stamped else None
        self.frames_expected = stream.frames or round((self.seconds or 0) * self.rate) or None
        self.counted = bool(stream.frames)
        self._opened: Opened | None = opened._replace(items=chain(head, opened.items))

    def chosen_frames(
        self, stream: str, choose: Choose, threads: int = 1
    ) -> Iterator[tuple[Frame, Planes | None]]:
        """Yield the frames whose numbers are chosen, as `frames` does, at less cost.

        choose: returns whether a frame is wanted; called for 0, 1, 2 ... in turn. threads: of the
        decoder.
        """
        run = self._chosen(stream, choose, threads)
        self._running.append(run)
        return run

    def _chosen(
        self, stream: str, choose: Choose, threads: int
    ) -> Generator[tuple[Frame, Planes | None]]:
        opened = self._open(choose, threads)
        yield from self._frames_of(opened, stream, choose if opened.complete else lambda _: True)

    def _open(self, choose: Choose | None = None, threads: int = 1) -> "Opened":
        container = open_file(self.path)
        try:
            stream = video_stream(container, str(self.path))
        except MediaError:
            container.close()
            raise
        deinterlacer = Deinterlacer(self._deinterlace)
        upright = Upright(stream, self._orientation)
        if choose is not None and self._plain and suits(container, stream):
            items: Items = sparsely_decoded(container, stream, choose, threads)
            return Opened(container, stream, upright, items, deinterlacer, complete=False)
        items = decoded(container, stream, deinterlacer)
        return Opened(container, stream, upright, items, deinterlacer, complete=True)

    def _compute_digest(self) -> str:
        try:
            with open(self.path, "rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise MediaError(f"{self.path}: {error.strerror}") from error

    def _timeline(self, opened: "Opened") -> Timeline:
        jumps = opened.container.format.flags & cast(int, Flags.ts_discont.value)
        return Timeline(
            opened.stream.start_time or 0,
            round(1 / (self.rate * self.time_base)),
            round(MAX_START_SECONDS / self.time_base),
            round(MAX_GAP_SECONDS / self.time_base) if jumps else None,
        )

    def _frames(self, stream: str, start: int) -> Generator[tuple[Frame, Planes | None]]:
        opened, self._opened = self._opened or self._open(), None
        yield from self._frames_of(opened, stream, lambda index: index >= start)

    def _frames_of(
        self, opened: "Opened", stream: str, choose: Choose
    ) -> Generator[tuple[Frame, Planes | None]]:
        with opened.container:
            upright, timeline = opened.upright, self._timeline(opened)
            fragment, size = (-1, -1), (self.width, self.height)
            for index, item in enumerate(opened.items):
                key = not isinstance(item, Damage) and item.key_frame
                if self._stamped:
                    pts = timeline(item.pts, key)
                else:  # libav has made up those of the packets, in the order of decoding
                    shown = item.duration if isinstance(item, VideoFrame) else 0
                    pts = timeline(None, key, shown)
                if isinstance(item, VideoFrame):
                    size = upright.size(item)
                if index == 0 or key:
                    fragment = index, pts
                if not choose(index) or isinstance(item, Skipped):
                    continue
                if isinstance(item, Damage):
                    yield self._frame(stream, index, pts, fragment, size, item.cause), None
                else:
                    yield self._frame(stream, index, pts, fragment, size), upright(item)

    def close(self) -> None:
        super().close()
        if self._opened is not None:
            self._opened.container.close()
            self._opened = None


class Opened(NamedTuple):
    """A file that is open, and its frames from the first one on."""

    container: InputContainer
    stream: VideoStream
    upright: Upright
    items: Items
    deinterlacer: Deinterlacer
    complete: bool
    """Whether all frames are decoded."""


def _rate(stream: VideoStream, *, stated: bool) -> float:
    """Return the frames per second; `stated`: by the container, otherwise by the codec alone."""
    rates = stream.average_rate, stream.guessed_rate
    for rate in rates if stated else reversed(rates):
        if rate and 0 < rate <= MAX_RATE:
            return float(rate)
    return DEFAULT_RATE


def _seconds(container: InputContainer, stream: VideoStream) -> float | None:
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return None if container.duration is None else container.duration / av.time_base
