"""Memory for arrays that come and go."""

import ctypes
import gc
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from onlooker.models import buffers
from onlooker.models.buffers import Buffers, page_lock


def test_memory_is_used_again_once_no_array_and_no_view_of_it_is_left() -> None:
    new: list[tuple[int, int]] = []
    memory = Buffers(lambda address, size: new.append((address, size)))
    array = memory.empty((4, 3), np.float32)
    array[:] = 7
    view = array[1:2]
    del array
    gc.collect()
    other = memory.empty((4, 3), np.float32)
    other[:] = 8
    assert view.tolist() == [[7, 7, 7]]
    assert [size for _, size in new] == [48, 48]
    address = other.ctypes.data
    del view, other
    gc.collect()
    again = memory.empty((12,), np.int32)
    also = memory.empty((2, 6), np.float32)
    assert len(new) == 2
    assert address in (again.ctypes.data, also.ctypes.data)
    assert memory.empty((2,), np.uint8).shape == (2,)
    assert len(new) == 3


def test_memory_that_cannot_be_locked_is_used_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int | None, int | None]] = []

    class Refusing:
        """CUDA's runtime where no memory may be locked."""

        def cudaHostRegister(self, address: object, size: object, flags: int) -> int:
            asked.append((address.value, size.value))  # type: ignore[attr-defined]
            return 2

        def cudaGetLastError(self) -> int:
            return 2

    maps = tmp_path / "maps"
    maps.write_text("7f00-7f10 r-xp 00000000 08:01 42   /usr/lib/libcudart.so.13\n7f10-7f20 rw-p\n")
    monkeypatch.setattr(buffers, "MAPS", maps)
    opened: list[str] = []

    def opening(path: str) -> Refusing:
        opened.append(path)
        return Refusing()

    stubbed = SimpleNamespace(**{**vars(ctypes), "CDLL": opening})
    monkeypatch.setattr(buffers, "ctypes", stubbed)
    buffers._cuda_runtime.cache_clear()
    array = Buffers(page_lock).empty((2, 2), np.float32)
    array[:] = 1
    assert array.sum() == 4
    assert opened == ["/usr/lib/libcudart.so.13"]
    assert asked == [(array.ctypes.data, 16)]
    buffers._cuda_runtime.cache_clear()
