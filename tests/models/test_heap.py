"""Large blocks are returned to the system, whatever was freed before."""

import subprocess
import sys

import pytest

SCRIPT = """
import ctypes
from onlooker.models import heap

class Figures(ctypes.Structure):
    names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()
    _fields_ = [(name, ctypes.c_size_t) for name in names]

libc = ctypes.CDLL(None)
libc.mallinfo2.restype = Figures
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]

def mapped():
    "Return whether a block of 8 MB is a mapping of its own."
    before = libc.mallinfo2().hblkhd
    block = libc.malloc(8 << 20)
    own = libc.mallinfo2().hblkhd - before >= 8 << 20
    libc.free(block)
    return own

if SETTLED:
    heap.return_large_blocks()
first = mapped()
libc.free(libc.malloc(24 << 20))  # from now on glibc takes 24 MB for small, unless it is told
print(first, mapped())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the heap of glibc")
@pytest.mark.parametrize(("settled", "expected"), [(True, "True True"), (False, "True False")])
def test_large_blocks_stay_mappings_of_their_own(settled: bool, expected: str) -> None:
    script = SCRIPT.replace("SETTLED", str(settled))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == expected, done.stderr
