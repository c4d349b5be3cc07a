"""Images for tests, and how far two of them may differ."""

import struct
from collections.abc import Callable
from typing import Any

import numpy as np

from onlooker.media.picture import Pixels

RED, GREEN, BLUE, WHITE = (0, 0, 255), (0, 255, 0), (255, 0, 0), (255, 255, 255)


def corners() -> Pixels:
    """Return red, green, blue and white quarters of whole JPEG blocks: no rotation is symmetric."""
    picture = np.empty((32, 48, 3), np.uint8)
    picture[:16, :24], picture[:16, 24:] = RED, GREEN
    picture[16:, :24], picture[16:, 24:] = BLUE, WHITE
    return picture


def near(picture: Pixels, expected: Pixels, by: int = 6) -> bool:
    """Return whether no value of two images differs by more than `by`."""
    if picture.shape != expected.shape:
        return False
    return int(np.abs(picture.astype(int) - expected.astype(int)).max()) <= by


UPRIGHT: dict[int, Callable[[Any], Any]] = {
    1: lambda p: p,
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.transpose(1, 0, 2),
    6: lambda p: np.rot90(p, -1),
    7: lambda p: p[::-1, ::-1].transpose(1, 0, 2),
    8: lambda p: np.rot90(p),
}
"""From the stored to the upright image, by orientation (EXIF 2.3, tag 0x0112)."""


def tiff(
    orientation: int, order: str = "<", kind: int = 3, before: int = 0, directory: int = 8
) -> bytes:
    """Return a TIFF block that states an orientation.

    order: "<" or ">". kind: 1 BYTE, 3 SHORT, 4 LONG. before: entries before that of the
    orientation. directory: where the entries begin.
    """
    value = struct.pack(f"{order}{ {1: 'B', 3: 'H', 4: 'I'}[kind] }", orientation).ljust(4, b"\0")
    other = struct.pack(f"{order}HHII", 0x0100, 4, 1, 640)
    entry = struct.pack(f"{order}HHI", 0x0112, kind, 1) + value
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", directory)
    entries = struct.pack(f"{order}H", before + 2) + other * before + entry + other
    return head.ljust(directory, b"\7") + entries + bytes(4)


def with_exif(jpeg: bytes, block: bytes, before: bytes = b"") -> bytes:
    """Return a JPEG with a TIFF block as EXIF, behind the segments `before`."""
    content = b"Exif\0\0" + block
    return (
        jpeg[:2] + before + b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content + jpeg[2:]
    )
