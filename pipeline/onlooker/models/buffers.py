"""Memory for arrays that come and go: kept for the next one, and page-locked for a card.

A card copies from and to page-locked memory without the processor, several times as fast as from
other memory; locking it takes longer than a copy, so that it is used again.
"""

import ctypes
import logging
import math
import mmap
import weakref
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

MAPS = Path("/proc/self/maps")

logger = logging.getLogger(__name__)


class Buffers:
    """A source of arrays; the memory of one that nobody uses any more becomes the next one's.

    on_new: called with address and size of each new piece of memory, in bytes.
    """

    def __init__(self, on_new: Callable[[int, int], None] | None = None) -> None:
        self._on_new = on_new
        self._free: defaultdict[int, list[mmap.mmap]] = defaultdict(list)
        """By size in bytes."""

    def empty(self, shape: Sequence[int], kind: DTypeLike) -> NDArray[Any]:
        """Return an array whose values are undefined."""
        size = math.prod(shape) * np.dtype(kind).itemsize
        try:
            memory = self._free[size].pop()
        except IndexError:
            memory = self._new(size)
        lent = (ctypes.c_char * size).from_buffer(memory)
        # An array, and every view of it, keeps `lent`.
        weakref.finalize(lent, self._free[size].append, memory).atexit = False
        return np.frombuffer(memoryview(lent), np.dtype(kind)).reshape(shape)

    def _new(self, size: int) -> mmap.mmap:
        memory = mmap.mmap(-1, size)
        if self._on_new is not None:
            self._on_new(ctypes.addressof(ctypes.c_char.from_buffer(memory)), size)
        return memory


def page_lock(address: int, size: int) -> None:
    """Lock memory into place for copies from and to the card, if CUDA does that here."""
    library = _cuda_runtime()
    code = library.cudaHostRegister(ctypes.c_void_p(address), ctypes.c_size_t(size), 0)
    if code:
        library.cudaGetLastError()  # or the next call of CUDA reports it
        logger.debug("memory not page-locked bytes=%d cuda_error=%d", size, code)


@cache
def _cuda_runtime() -> ctypes.CDLL:
    """Return CUDA's runtime library, which the first session on a card has loaded."""
    lines = MAPS.read_text(encoding="utf-8").splitlines()
    return ctypes.CDLL(next(line.split()[-1] for line in lines if "/libcudart.so" in line))
