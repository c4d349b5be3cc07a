"""The videos that can be read from their beginning: their size, and their frames in order."""

from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Self

from onlooker.media.picture import Planes
from onlooker.types import Frame


class Video(ABC):
    """A video file, a folder of images, or a synthetic video.

    Use it in a `with` statement, or call `close`, to end iterations that are still running and to
    close its files. Its attributes, and `digest`, remain available.
    """

    path: Path
    width: int
    height: int
    """Of the first image, in pixels, upright."""
    endless = False
    time_base: Fraction
    """Seconds that one unit of `pts` lasts."""
    rate: float
    """Average frames per second."""
    frames_expected: int | None
    """Number of frames, as a hint for progress bars; None means unknown."""
    counted: bool = True
    """Whether that is the number in the container, and not an estimate."""
    seconds: float | None = None
    """Duration, as the container states it; None means unknown."""
    left_out: tuple[str, ...] = ()
    """Files that are no part of the video though they lie beside its images, in words."""

    def __init__(self, path: Path, digest: str | None) -> None:
        self.path = path
        if digest is not None:
            self.digest = digest
        self._running: list[Generator[tuple[Frame, Planes | None]]] = []

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the content, in hex. Raises MediaError if it cannot be read."""
        return self._compute_digest()

    @abstractmethod
    def _compute_digest(self) -> str: ...

    def frames(self, stream: str, start: int = 0) -> Iterator[tuple[Frame, Planes | None]]:
        """Yield frame 0, 1, 2 ... from `start` on, each with its picture.

        `stream` is the name that the frames carry. A frame does not depend on `start`. An image
        that cannot be decoded is a frame with the cause as `error` and None as the picture.
        """
        if start < 0:
            raise ValueError(f"a video has no frame {start}")
        run = self._frames(stream, start)
        self._running.append(run)
        return run

    @abstractmethod
    def _frames(self, stream: str, start: int) -> Generator[tuple[Frame, Planes | None]]: ...

    def close(self) -> None:
        """End the iterations that are running, and close their files."""
        while self._running:
            self._running.pop().close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _frame(
        self,
        stream: str,
        index: int,
        pts: int,
        fragment: tuple[int, int],
        size: tuple[int, int],
        error: str | None = None,
    ) -> Frame:
        """fragment: index and pts of the key frame. size: width and height in pixels."""
        return Frame(
            stream=stream,
            epoch=self.digest,
            index=index,
            pts=pts,
            time_base=self.time_base.as_integer_ratio(),
            fragment=fragment[0],
            fragment_pts=fragment[1],
            started=0.0,
            width=size[0],
            height=size[1],
            error=error,
        )
