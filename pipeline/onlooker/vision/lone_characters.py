"""A large character that stands alone, told from a picture that looks like one.

The finder takes a photograph on a plain background for text now and then, and the reader makes of
its outline an 8 or a D. A character that is written has two colours.
"""

import math

import cv2
import numpy as np

from onlooker.media.picture import Picture, Pixels
from onlooker.types import Quad

MIN_SIDE_SHARE = 0.3
"""A character is large if its longer side is at least this share of the image's shorter one."""
MIN_TWO_COLOURS = 0.9
"""Share of the colours' variance that two mean colours explain, from which a crop shows writing."""
MIN_SURE_SCORE = 0.99
"""Score from which the reader is believed whatever the colours.

Of 70 large characters read from 250 press photographs, alone and on plain backgrounds, one passes
by either limit; of 91 that were drawn on plain colours and on photographs, 89.
"""


def is_large(picture: Picture, quad: Quad) -> bool:
    """Return whether a character in `quad` is large enough to be a picture."""
    longer = max(math.dist(quad[0], quad[1]), math.dist(quad[0], quad[3]))
    return longer >= MIN_SIDE_SHARE * min(picture.width, picture.height)


def two_colours(crop: Pixels) -> float:
    """Return how much of the variance of a crop's colours its two mean colours explain, 0 to 1."""
    colours = crop.reshape(-1, 3).astype(np.float64)
    colours -= colours.mean(0)
    variance = float(np.square(colours).sum())
    if not variance:
        return 0.0
    _, axes = np.linalg.eigh(colours.T @ colours)
    along = colours @ axes[:, -1]
    low, high = float(along.min()), float(along.max())
    if high <= low:
        return 0.0
    levels = ((along - low) * (255 / (high - low))).astype(np.uint8)
    _, light = cv2.threshold(levels[:, None], 0, 1, cv2.THRESH_OTSU)
    explained = 0.0
    for part in (colours[light.ravel() > 0], colours[light.ravel() == 0]):
        explained += float(np.square(part.sum(0)).sum()) / max(1, len(part))
    return explained / variance
