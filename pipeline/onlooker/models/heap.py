"""The heap of a process that runs models."""

import ctypes
import functools
import gc
import logging

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""The numbers of these options in glibc's <malloc.h>."""
LARGE_BYTES = 4 << 20
"""A block of this size or more is a mapping of its own, which is returned when it is freed."""
MAX_UNUSED_BYTES = 64 << 20
"""Unused memory at the end of the heap, which is kept for the next image."""

logger = logging.getLogger(__name__)


@functools.cache
def return_large_blocks() -> None:
    """Have memory of LARGE_BYTES or more returned to the system as soon as it is freed.

    glibc raises that size whenever a larger block is freed, up to 32 MB. From then on the buffers
    of models, which grow with the largest image so far, leave holes in the heap: 60 MB in an
    analyser. On systems with another heap this does nothing.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:
        logger.debug("the heap has no mallopt")
        return
    mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)
    mallopt(M_TRIM_THRESHOLD, MAX_UNUSED_BYTES)


def return_free_memory() -> None:
    """Return memory that is free within the heap to the system, as after models were dropped."""
    gc.collect()
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except AttributeError:
        logger.debug("the heap has no malloc_trim")
        return
    trim(0)
