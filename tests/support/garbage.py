"""Objects that keep each other in memory until the garbage collector comes by."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def none_left(kind: type) -> Iterator[None]:
    """Check that no object of this class, or of one derived from it, outlives the block."""
    gc.collect()
    before = {id(each) for each in gc.get_objects() if isinstance(each, kind)}
    gc.disable()
    try:
        yield
        left = [each for each in gc.get_objects() if isinstance(each, kind)]
        assert {id(each) for each in left} <= before, left
    finally:
        gc.enable()
