"""Master playlists of HLS: the variants of one video, of which only the best is fetched."""

import re
from typing import Any
from urllib.parse import urljoin, urlsplit

import av
import av.error

MAX_BYTES = 1 << 20
"""Maximum bytes of a playlist that are read."""


def variants(url: str, options: dict[str, str], timeout: tuple[float, float]) -> list[str]:
    """Return the URLs of a master playlist's variants, the largest images first.

    Empty if `url` does not name a playlist, if it has no variants, or if it cannot be fetched.
    options, timeout: those of `av.open`.
    """
    if not urlsplit(url).path.lower().endswith((".m3u8", ".m3u")):
        return []
    try:
        text = _fetched(url, options, timeout).decode("utf-8", "replace")
    except (av.error.FFmpegError, OSError):
        return []  # libav says why when it opens the URL itself
    return parsed(text, url)


def parsed(text: str, url: str) -> list[str]:
    """Return the variants in a master playlist (RFC 8216, 4.3.4.2), the largest images first.

    Variants without a size are sound if others have one. Of one size, that with most bits a second
    comes first.
    """
    found: list[tuple[int, int, str]] = []
    attributes: str | None = None
    for line in map(str.strip, text.splitlines()):
        if line.startswith("#EXT-X-STREAM-INF:"):
            attributes = line
        elif line and not line.startswith("#") and attributes is not None:
            size = re.search(r"[:,]\s*RESOLUTION=(\d+)x(\d+)", attributes)
            rate = re.search(r"[:,]\s*BANDWIDTH=(\d+)", attributes)
            pixels = int(size[1]) * int(size[2]) if size else 0
            found.append((pixels, int(rate[1]) if rate else 0, urljoin(url, line)))
            attributes = None
    sized = [each for each in found if each[0]] or found
    return [address for *_, address in sorted(sized, key=lambda one: one[:2], reverse=True)]


def _fetched(url: str, options: dict[str, str], timeout: tuple[float, float]) -> bytes:
    """Return the bytes of a file, fetched with libav's own protocols, as the video will be."""
    # The format "data" takes any bytes for a stream of packets.
    container: Any = av.open(url, format="data", options=options, timeout=timeout)
    found = b""
    with container:
        for packet in container.demux():
            found += bytes(packet)
            if len(found) > MAX_BYTES:
                break
    return found
