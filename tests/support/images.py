"""Images for tests, and how far two of them may differ."""

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
