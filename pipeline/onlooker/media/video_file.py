"""Video files: their size, and their frames with the container's time stamps."""

import hashlib
import stat
from collections.abc import Generator, Iterator
from fractions import Fraction
from itertools import chain
from os import PathLike
from pathlib import Path

import av
import av.error
from av.container import InputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from onlooker.media.decode import TOLERANT, Damage, Upright, decoded, upright_size
from onlooker.media.errors import MediaError
from onlooker.media.image import IMAGE_SUFFIXES
from onlooker.media.picture import Planes
from onlooker.media.video import Video
from onlooker.types import Frame

FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,flv,ogg,asf,gif,h264,hevc,m4v,mjpeg"
    ",ivf,mxf,wav,mp3,flac,aac"
)
"""Containers that are opened. Playlists are excluded: one inside a video can name other files.
Audio formats are included so that the message can say that the video is missing."""

DEFAULT_RATE = 25.0
"""Frames per second of a video that states none."""


class VideoFile(Video):
    """A video file.

    The constructor opens it and decodes its first image; the first iteration continues there.
    Raises MediaError, one line with the path and the cause, if it is no video or if no image in it
    can be decoded.

    `pts` is the container's own; a frame without one gets that of the frame before it plus one
    frame's time at the video's rate. Width and height are each image's own, as they may change;
    a frame without an image has those of the frame before it.
    """

    def __init__(self, path: str | PathLike[str], digest: str | None = None) -> None:
        super().__init__(Path(path), digest)
        container, stream = _open(self.path)
        items = decoded(container, stream)
        head: list[VideoFrame | Damage] = []
        for item in items:
            head.append(item)
            if isinstance(item, VideoFrame):
                self.width, self.height = upright_size(item)
                break
        else:
            container.close()
            raise MediaError(f"{self.path}: no image in it can be decoded")
        assert stream.time_base is not None  # libav gives every stream one
        self.time_base = Fraction(stream.time_base.numerator, stream.time_base.denominator)
        self.rate = float(stream.average_rate or stream.guessed_rate or DEFAULT_RATE)
        self.frames_expected = _frames_expected(container, stream, self.rate)
        self._start_pts = stream.start_time or 0
        self._opened: tuple[InputContainer, Iterator[VideoFrame | Damage]] | None
        self._opened = container, chain(head, items)

    def _compute_digest(self) -> str:
        try:
            with open(self.path, "rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise MediaError(f"{self.path}: {error.strerror}") from error

    def _frames(self, stream: str, start: int) -> Generator[tuple[Frame, Planes | None]]:
        opened, self._opened = self._opened, None
        if opened is None:
            container, video = _open(self.path)
            opened = container, decoded(container, video)
        container, items = opened
        with container:
            upright = Upright()
            step = max(1, round(1 / (self.rate * self.time_base)))
            pts, fragment, size = self._start_pts - step, (-1, -1), (self.width, self.height)
            for index, item in enumerate(items):
                pts = pts + step if item.pts is None else item.pts
                if isinstance(item, VideoFrame):
                    size = upright_size(item)
                if index == 0 or (isinstance(item, VideoFrame) and item.key_frame):
                    fragment = index, pts
                if index < start:
                    continue
                if isinstance(item, Damage):
                    yield self._frame(stream, index, pts, fragment, size, item.cause), None
                else:
                    yield self._frame(stream, index, pts, fragment, size), upright(item)

    def close(self) -> None:
        super().close()
        if self._opened is not None:
            self._opened[0].close()
            self._opened = None


def _open(path: Path) -> tuple[InputContainer, VideoStream]:
    """Open the container at `path` and select its video stream. Raises MediaError."""
    try:
        status = path.stat()
    except OSError as error:
        raise MediaError(f"{path}: {error.strerror}") from error
    if not stat.S_ISREG(status.st_mode):
        raise MediaError(f"{path}: not a file")
    if not status.st_size:
        raise MediaError(f"{path}: the file is empty")
    try:
        container = av.open(
            f"file:{path}",  # otherwise a colon in the name would mark a protocol
            options={"format_whitelist": FORMATS, "protocol_whitelist": "file"},
            **TOLERANT,
        )
    except av.error.FFmpegError as error:
        if path.suffix.lower() in IMAGE_SUFFIXES:
            raise MediaError(
                f"{path}: an image, not a video; use `onlooker faces` or `onlooker text`, or name "
                "a folder of images"
            ) from error
        raise MediaError(f"{path}: not a video that can be read ({error.strerror})") from error
    # The cover of a song is stored as a video stream of one image.
    videos = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if videos and videos[0].codec_context is not None:
        return container, videos[0]
    container.close()
    cause = "libav does not know its video codec" if videos else "no video in it"
    raise MediaError(f"{path}: {cause}")


def _frames_expected(container: InputContainer, stream: VideoStream, rate: float) -> int | None:
    if stream.frames:
        return stream.frames
    if stream.duration is not None and stream.time_base is not None:
        return round(stream.duration * stream.time_base * rate)
    if container.duration is not None:
        return round(container.duration / av.time_base * rate)
    return None
