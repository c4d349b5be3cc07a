"""Made-up pictures, for tests of the line without a camera: test://moving?size=640x360&fps=25.

moving      a bar that moves over a slope of grey; no two pictures are alike
black       what a camera sends whose lens is covered
frozen      one picture again and again
repeating   eight pictures again and again
"""

import hashlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Self
from urllib.parse import parse_qsl, urlsplit

import numpy as np

from onlooker.media.errors import MediaError
from onlooker.media.picture import Pixels, Planes
from onlooker.types import Frame

KINDS = ("moving", "black", "frozen", "repeating")


class Pattern:
    """The pictures of a test:// URL: the same as `onlooker.media.video_file.VideoFile` gives.

    `size`, `fps` and `frames` (0: without end, as a camera) may be set in the URL. Raises
    MediaError.
    """

    def __init__(self, url: str, digest: str | None = None) -> None:
        try:
            parts = urlsplit(url)
            self.path = Path(parts.netloc)
            self.kind = parts.netloc
            given = dict(parse_qsl(parts.query))
            options = {"size": "640x360", "fps": "25", "frames": "0", **given}
            self.width, self.height = map(int, options.pop("size").split("x"))
            fps, frames = Fraction(options.pop("fps")), int(options.pop("frames"))
        except (ValueError, ZeroDivisionError) as error:
            raise MediaError(f"{url}: {error}") from error
        known = self.kind in KINDS and not options
        if not known or min(self.width, self.height) < 16 or fps <= 0 or frames < 0:
            raise MediaError(
                f"{url}: no such pattern; write test://moving?size=640x360&fps=25&frames=100, or "
                f"{', '.join(KINDS[1:])}"
            )
        self.rate, self.time_base = float(fps), 1 / fps
        self.frames_expected = frames or None
        self.endless = not frames
        self.digest = digest or hashlib.sha256(url.encode()).hexdigest()
        slope = np.linspace(40, 200, self.width, dtype=np.uint8)
        self._grey: Pixels = np.ascontiguousarray(np.broadcast_to(slope, (self.height, self.width)))
        half = ((self.height + 1) // 2, (self.width + 1) // 2)
        self._chroma: Pixels = np.full(half, 128, np.uint8)

    def frames(self, stream: str, start: int = 0) -> Iterator[tuple[Frame, Planes | None]]:
        """The pictures from number `start` on."""
        index = start
        while self.frames_expected is None or index < self.frames_expected:
            fragment = index - index % 25
            frame = Frame(
                stream=stream,
                epoch=self.digest,
                index=index,
                pts=index,
                time_base=self.time_base.as_integer_ratio(),
                fragment=fragment,
                fragment_pts=fragment,
                started=0.0,
                width=self.width,
                height=self.height,
            )
            yield frame, self._picture(index)
            index += 1

    def close(self) -> None:
        """There is nothing to close."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _picture(self, index: int) -> Planes:
        if self.kind == "black":
            return Planes(np.full_like(self._grey, 16), self._chroma, self._chroma)
        index = {"frozen": 0, "repeating": index % 8}.get(self.kind, index)
        y = self._grey.copy()
        left = index * 4 % self.width
        y[:, left : left + max(2, self.width // 16)] = 235
        # The number too, in squares: a picture of a long video does not come again either.
        for bit in range(min(24, self.width // 4)):
            y[:4, bit * 4 : bit * 4 + 4] = 235 if index >> bit & 1 else 16
        return Planes(y, self._chroma, self._chroma)
