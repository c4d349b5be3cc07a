# cython: auto_pickle=False
"""Frames in shared memory: a file of fixed slots, each with a generation number.

Layout, in native byte order (all processes are on one machine):

    0      magic 8s | version u32 | slots u32 | slot_bytes u64
    4096   slot 0: generation u64 | width u32 | height u32 | ... | 64: the Y, U and V planes, packed
    4096 + stride: slot 1 ...           stride = 64 + slot_bytes, up to the next multiple of 64
"""

import mmap
import os
import struct
from pathlib import Path

import numpy as np

cimport cython
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

cdef extern from "stream/seqlock.h" nogil:
    ctypedef struct generation_t:
        pass
    uint64_t generation_open(generation_t *generation)
    void generation_close(generation_t *generation, uint64_t odd)
    uint64_t generation_before(generation_t *generation)
    uint64_t generation_after(generation_t *generation)

cdef struct Slot:
    generation_t *generation
    uint32_t *size                      # width, height
    uint8_t *pixels

_HEADER = struct.Struct("=8sIIQ")
_MAGIC = b"onlooker"
_VERSION = 1

cdef enum:
    FIRST_SLOT = 4096
    MAX_SIDE = 65536
    PIXELS = 64                         # a cache line, which the header does not share with pixels


class FrameGone(Exception):
    """The slot was overwritten, or is being written."""


@cython.final
cdef class Ring:
    """Slots of I420 frames in a file that several processes map."""

    cdef readonly object path
    cdef readonly int slots
    cdef readonly Py_ssize_t slot_bytes
    cdef Py_ssize_t stride
    cdef object map
    cdef uint8_t[::1] bytes

    @staticmethod
    def create(path, int slots, Py_ssize_t slot_bytes):
        """Create the file, with memory reserved for all slots, and map it."""
        path = Path(path)
        if slots < 1 or slot_bytes < 1:
            raise ValueError(f"a ring needs slots and bytes, not {slots} slots of {slot_bytes} bytes")
        size = _file_bytes(slots, slot_bytes)
        with open(path, "xb") as file:
            try:
                _reserve(file, size)
            except OSError as error:
                os.unlink(path)
                raise OSError(
                    error.errno,
                    f"no room for {slots} frames of {slot_bytes / 2**20:.1f} MiB"
                    f" ({os.strerror(error.errno)}); free some, or lower [pipeline] window",
                    str(path),
                ) from error
            file.seek(0)
            file.write(_HEADER.pack(_MAGIC, _VERSION, slots, slot_bytes))
        return Ring.attach(path)

    @staticmethod
    def attach(path):
        """Map an existing ring."""
        path = Path(path)
        with open(path, "r+b") as file:
            head = file.read(_HEADER.size)
            if len(head) < _HEADER.size or not head.startswith(_MAGIC):
                raise ValueError(f"{path} is not a frame ring")
            _, version, slots, slot_bytes = _HEADER.unpack(head)
            if version != _VERSION:
                raise ValueError(f"{path} is a frame ring of version {version}, not {_VERSION}")
            size = os.fstat(file.fileno()).st_size
            if slots < 1 or slot_bytes < 1 or size != _file_bytes(slots, slot_bytes):
                raise ValueError(
                    f"{path} is a damaged frame ring: {size} bytes"
                    f" for {slots} slots of {slot_bytes} bytes"
                )
            mapping = mmap.mmap(file.fileno(), size)
        cdef Ring ring = Ring.__new__(Ring)
        ring.path = path
        ring.slots = slots
        ring.slot_bytes = slot_bytes
        ring.stride = _stride(slot_bytes)
        ring.map = mapping
        ring.bytes = mapping
        return ring

    @staticmethod
    def slot_bytes_for(Py_ssize_t width, Py_ssize_t height):
        """Return the bytes of an I420 frame; the chroma of odd sides is rounded up."""
        if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE):
            raise ValueError(f"a frame cannot be {width} x {height} pixels")
        return _frame_bytes(width, height)

    def fits(self, Py_ssize_t width, Py_ssize_t height):
        """Return whether a slot can hold a frame of that size."""
        return Ring.slot_bytes_for(width, height) <= self.slot_bytes

    def write(self, int slot, const uint8_t[:, :] y, const uint8_t[:, :] u, const uint8_t[:, :] v):
        """Copy a frame into the slot and return its generation."""
        cdef Slot at = self._slot(slot)
        cdef uint8_t[::1] held = self.bytes     # keeps the map if another thread calls close()
        cdef Py_ssize_t height = y.shape[0], width = y.shape[1]
        if not self.fits(width, height):
            raise ValueError(
                f"a frame of {width} x {height} does not fit a slot of {self.slot_bytes} bytes"
            )
        cdef Py_ssize_t rows = (height + 1) // 2, columns = (width + 1) // 2
        if not (u.shape[0] == v.shape[0] == rows and u.shape[1] == v.shape[1] == columns):
            raise ValueError(
                f"chroma of {width} x {height} is {columns} x {rows}, not"
                f" {u.shape[1]} x {u.shape[0]} and {v.shape[1]} x {v.shape[0]}"
            )
        if not (
            (width == 1 or y.strides[1] == 1)
            and (columns == 1 or (u.strides[1] == 1 and v.strides[1] == 1))
        ):
            raise ValueError("the pixels of a row must be contiguous")
        cdef uint64_t generation
        with nogil:
            generation = generation_open(at.generation)
            at.size[0] = <uint32_t>width
            at.size[1] = <uint32_t>height
            _pack(at.pixels, y)
            _pack(at.pixels + height * width, u)
            _pack(at.pixels + height * width + rows * columns, v)
            generation_close(at.generation, generation)
        return generation + 1

    def planes(self, int slot, uint64_t generation):
        """Return the frame's Y, U and V as read-only views of the slot."""
        cdef Slot at = self._slot(slot)
        cdef Py_ssize_t width, height
        cdef bint whole = generation_before(at.generation) == generation and generation % 2 == 0
        width, height = at.size[0], at.size[1]
        if not whole or generation_after(at.generation) != generation or not generation:
            raise FrameGone(f"slot {slot} of {self.path} no longer holds frame {generation}")
        rows, columns = (height + 1) // 2, (width + 1) // 2
        pixels = memoryview(self.map).toreadonly()
        start = at.pixels - &self.bytes[0]
        y = np.ndarray((height, width), np.uint8, pixels, start)
        u = np.ndarray((rows, columns), np.uint8, pixels, start + y.size)
        v = np.ndarray((rows, columns), np.uint8, pixels, start + y.size + u.size)
        return y, u, v

    def still(self, int slot, uint64_t generation):
        """Return whether the slot still holds that frame; call it after reading the pixels."""
        cdef Slot at = self._slot(slot)
        return generation_after(at.generation) == generation

    def close(self):
        """Release the map; views that are in use keep it."""
        self.bytes = None
        self.map = None

    def unlink(self):
        """Remove the file; processes that have mapped it keep the memory until they close it."""
        self.path.unlink(missing_ok=True)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    cdef Slot _slot(self, int slot) except *:
        if self.map is None:
            raise ValueError(f"the ring {self.path} is closed")
        if not 0 <= slot < self.slots:
            raise IndexError(f"slot {slot} of a ring of {self.slots}")
        cdef uint8_t *start = &self.bytes[FIRST_SLOT + slot * self.stride]
        cdef Slot at
        at.generation = <generation_t *>start
        at.size = <uint32_t *>(start + sizeof(uint64_t))
        at.pixels = start + PIXELS
        return at


cdef inline void _pack(uint8_t *to, const uint8_t[:, :] plane) noexcept nogil:
    """Copy a plane's rows without padding."""
    cdef Py_ssize_t rows = plane.shape[0], columns = plane.shape[1], row
    if plane.strides[0] == columns:
        memcpy(to, &plane[0, 0], rows * columns)
        return
    for row in range(rows):
        memcpy(to + row * columns, &plane[row, 0], columns)


cdef inline Py_ssize_t _frame_bytes(Py_ssize_t width, Py_ssize_t height) noexcept nogil:
    return width * height + 2 * ((width + 1) // 2) * ((height + 1) // 2)


cdef inline Py_ssize_t _stride(Py_ssize_t slot_bytes) noexcept nogil:
    return (PIXELS + slot_bytes + PIXELS - 1) // PIXELS * PIXELS


def _file_bytes(slots, slot_bytes):
    return FIRST_SLOT + slots * ((2 * PIXELS - 1 + slot_bytes) // PIXELS * PIXELS)


def _reserve(file, size):
    """Allocate all bytes now: a full disk is an error here, not a SIGBUS at a later write."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, size)
        return
    for start in range(0, size, 1 << 20):
        file.write(bytes(min(1 << 20, size - start)))
