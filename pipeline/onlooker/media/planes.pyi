import numpy as np
from numpy.typing import NDArray

def stretched(plane: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return luma (h, w) of limited range, 16 to 235, stretched to 0 to 255: a new array.

    Rows may be any distance apart. Raises ValueError if the bytes of a row are not side by side.
    """

def pack(y: NDArray[np.uint8], u: NDArray[np.uint8], v: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return three planes as one I420 array, as OpenCV converts it: (3 * rows / 2, columns).

    y (h, w); u and v (ceil(h / 2), ceil(w / 2)), with rows any distance apart. OpenCV accepts even
    sides only: the last pixels of an odd side are repeated, so that rows and columns are the next
    even numbers. Raises ValueError if the planes do not match, or are empty.
    """
