import numpy as np
from numpy.typing import NDArray

def pack(y: NDArray[np.uint8], u: NDArray[np.uint8], v: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The I420 picture of three planes, as OpenCV converts it: (3 * rows / 2, columns).

    y (h, w); u and v (ceil(h / 2), ceil(w / 2)), with rows any distance apart. OpenCV takes even
    sides only: an odd side has its last pixels twice, so that rows and columns are the next even
    numbers. Raises ValueError where the planes do not belong together, or are empty.
    """
