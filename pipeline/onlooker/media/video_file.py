"""Where frames come from."""

import hashlib
import stat
from collections.abc import Generator, Iterator
from fractions import Fraction
from functools import cached_property
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import av.error
from av.container import InputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from onlooker.media.decode import TOLERANT, Damage, Upright, pictures, upright_size
from onlooker.media.errors import MediaError
from onlooker.media.image import IMAGE_SUFFIXES
from onlooker.media.picture import Planes
from onlooker.types import Frame

FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,flv,ogg,asf,gif,h264,hevc,m4v,mjpeg"
    ",ivf,mxf,wav,mp3,flac,aac"
)
"""Containers that are opened. Playlists are left out: one inside a video can name other files.
Sound has its place here so that the message can say what is missing."""

USUAL_RATE = 25.0
"""Frames per second of a video that does not say."""


class VideoFile:
    """A video file: its size, and its frames in presentation order, as often as they are wanted.

    The constructor opens it and decodes its first picture. Raises MediaError, one line with the
    path and the cause, for what is no video or holds no picture that can be decoded.

    Use it in a `with` statement, or call `close`, to end iterations that are still under way.
    """

    path: Path
    width: int
    height: int
    """Of the first picture, in pixels, as it is meant to be seen."""
    endless = False
    time_base: Fraction
    """Seconds that one unit of `pts` lasts."""
    rate: float
    """Frames per second on average; USUAL_RATE where the video does not say."""
    frames_expected: int | None
    """What the container says, or length times rate; a hint for progress, not a promise."""

    def __init__(self, path: str | PathLike[str], digest: str | None = None) -> None:
        self.path = Path(path)
        if digest is not None:
            self.digest = digest
        self._running: list[Generator[tuple[Frame, Planes | None]]] = []
        container, stream = _open(self.path)
        with container:
            assert stream.time_base is not None  # libav gives every stream one
            self.time_base = Fraction(stream.time_base.numerator, stream.time_base.denominator)
            self.rate = float(stream.average_rate or stream.guessed_rate or USUAL_RATE)
            self.frames_expected = _frames_expected(container, stream, self.rate)
            seen = (item for item in pictures(container, stream) if isinstance(item, VideoFrame))
            first = next(seen, None)
            if first is None:
                raise MediaError(f"{self.path}: no picture in it can be decoded")
            self.width, self.height = upright_size(first)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the file's bytes, in hex."""
        with open(self.path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def frames(self, stream: str, start: int = 0) -> Iterator[tuple[Frame, Planes | None]]:
        """Frame 0, 1, 2 ... of the video, from `start` on, each with its picture.

        `stream` is the name that the frames carry. A frame does not depend on `start`: the frames
        before it are decoded and not handed out. A picture that cannot be decoded is a frame with
        its cause as `error` and None for the picture, in its place where the video says which.

        `pts` is the container's own; a frame without gets that of the frame before it plus one
        frame's time at the video's rate. Width and height are each picture's own, as they may
        change; where there is no picture, those of the one before.
        """
        if start < 0:
            raise ValueError(f"a video has no frame {start}")
        run = self._frames(stream, start)
        self._running.append(run)
        return run

    def _frames(self, name: str, start: int) -> Generator[tuple[Frame, Planes | None]]:
        container, stream = _open(self.path)
        with container:
            upright = Upright()
            step = max(1, round(1 / (self.rate * self.time_base)))
            pts = (stream.start_time or 0) - step
            fragment = fragment_pts = -1
            width, height = self.width, self.height
            for index, item in enumerate(pictures(container, stream)):
                pts = pts + step if item.pts is None else item.pts
                if isinstance(item, VideoFrame):
                    width, height = upright_size(item)
                if index == 0 or (isinstance(item, VideoFrame) and item.key_frame):
                    fragment, fragment_pts = index, pts
                if index < start:
                    continue
                frame = Frame(
                    stream=name,
                    epoch=self.digest,
                    index=index,
                    pts=pts,
                    time_base=self.time_base.as_integer_ratio(),
                    fragment=fragment,
                    fragment_pts=fragment_pts,
                    started=0.0,
                    width=width,
                    height=height,
                    error=item.cause if isinstance(item, Damage) else None,
                )
                yield frame, None if isinstance(item, Damage) else upright(item)

    def close(self) -> None:
        """End all iterations under way and close their files."""
        while self._running:
            self._running.pop().close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _open(path: Path) -> tuple[InputContainer, VideoStream]:
    """The container at `path` and the picture stream in it, or MediaError."""
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
            f"file:{path}",  # or a colon in the name would be taken for a protocol
            options={"format_whitelist": FORMATS, "protocol_whitelist": "file"},
            **TOLERANT,
        )
    except av.error.FFmpegError as error:
        if path.suffix.lower() in IMAGE_SUFFIXES:
            raise MediaError(
                f"{path}: a picture, not a video; `onlooker faces` and `onlooker text` look at "
                "pictures, and a folder of them is played as a video is"
            ) from error
        raise MediaError(f"{path}: not a video that can be read ({error.strerror})") from error
    # The cover of a song is stored as a stream of one picture.
    videos = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if videos and videos[0].codec_context is not None:
        return container, videos[0]
    container.close()
    cause = "its video is in a form that libav does not know" if videos else "no video in it"
    raise MediaError(f"{path}: {cause}")


def _frames_expected(container: InputContainer, stream: VideoStream, rate: float) -> int | None:
    if stream.frames:
        return stream.frames
    if stream.duration is not None and stream.time_base is not None:
        return round(stream.duration * stream.time_base * rate)
    if container.duration is not None:
        return round(container.duration / av.time_base * rate)
    return None
