"""Synthetic video, to test without a camera: test://moving?size=640x360&fps=25.

moving      a bar that moves over a grey gradient; no two images are equal
black       the video of a camera whose lens is covered
frozen      one image, repeated
repeating   eight images, repeated
"""

import hashlib
from collections.abc import Generator
from fractions import Fraction
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import numpy as np

from onlooker.media.errors import MediaError
from onlooker.media.picture import Pixels, Planes
from onlooker.media.video import Video
from onlooker.types import Frame

KINDS = ("moving", "black", "frozen", "repeating")
MIN_SIDE = 16
"""Minimum width and height in pixels."""
KEY_FRAME_EVERY = 25


class SyntheticVideo(Video):
    """The images of a test:// URL.

    The URL may set `size`, `fps` and `frames` (0 means endless, as a camera). Raises MediaError if
    the URL is invalid.
    """

    def __init__(self, url: str, digest: str | None = None) -> None:
        try:
            parts = urlsplit(url)
            self.kind = parts.netloc
            options = {
                "size": "640x360",
                "fps": "25",
                "frames": "0",
                **dict(parse_qsl(parts.query)),
            }
            self.width, self.height = map(int, options.pop("size").split("x"))
            fps, frames = Fraction(options.pop("fps")), int(options.pop("frames"))
        except (ValueError, ZeroDivisionError) as error:
            raise MediaError(f"{url}: {error}") from error
        super().__init__(Path(self.kind), digest)
        self._url = url
        known = self.kind in KINDS and not options
        if not known or min(self.width, self.height) < MIN_SIDE or fps <= 0 or frames < 0:
            raise MediaError(
                f"{url}: no such test video; write test://moving?size=640x360&fps=25&frames=100, "
                f"or {', '.join(KINDS[1:])}"
            )
        self.rate, self.time_base = float(fps), 1 / fps
        self.frames_expected = frames or None
        self.endless = not frames
        gradient = np.linspace(40, 200, self.width, dtype=np.uint8)
        shape = (self.height, self.width)
        self._grey: Pixels = np.ascontiguousarray(np.broadcast_to(gradient, shape))
        half = ((self.height + 1) // 2, (self.width + 1) // 2)
        self._chroma: Pixels = np.full(half, 128, np.uint8)

    def _compute_digest(self) -> str:
        return hashlib.sha256(self._url.encode()).hexdigest()

    def _frames(self, stream: str, start: int) -> Generator[tuple[Frame, Planes | None]]:
        index, size = start, (self.width, self.height)
        while self.frames_expected is None or index < self.frames_expected:
            key = index - index % KEY_FRAME_EVERY
            yield self._frame(stream, index, index, (key, key), size), self._picture(index)
            index += 1

    def _picture(self, index: int) -> Planes:
        if self.kind == "black":
            return Planes(np.full_like(self._grey, 16), self._chroma, self._chroma)
        index = {"frozen": 0, "repeating": index % 8}.get(self.kind, index)
        y = self._grey.copy()
        left = index * 4 % self.width
        y[:, left : left + max(2, self.width // 16)] = 235
        # The number too, in squares: no image of a long video comes again.
        for bit in range(min(24, self.width // 4)):
            y[:4, bit * 4 : bit * 4 + 4] = 235 if index >> bit & 1 else 16
        return Planes(y, self._chroma, self._chroma)
