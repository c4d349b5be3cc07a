"""Frames in shared memory: whole or gone, whoever dies while they are written."""

import errno
import multiprocessing
import os
import resource
import signal
import struct
import sys
import threading
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from onlooker.stream.ring import FrameGone, Ring

Planes = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]

PROCESSES = multiprocessing.get_context("spawn")
FIRST_SLOT = 4096


def frame(width: int, height: int, value: int) -> Planes:
    """A frame of one value, so that a torn one can be told."""
    half = (height + 1) // 2, (width + 1) // 2
    return (
        np.full((height, width), value, np.uint8),
        np.full(half, value, np.uint8),
        np.full(half, value, np.uint8),
    )


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    """In memory where there is such a place, as in use."""
    memory = Path("/dev/shm")
    folder = memory if os.access(memory, os.W_OK) else tmp_path
    path = folder / f"onlooker-test-{os.getpid()}.ring"
    yield path
    path.unlink(missing_ok=True)


@given(st.integers(1, 40), st.integers(1, 30), st.integers(0, 7), st.integers(0, 99))
def test_a_frame_comes_back_as_it_went(width: int, height: int, padding: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    half = (height + 1) // 2, (width + 1) // 2
    y, u, v = (
        # The planes of a decoder have padding behind their rows.
        rng.integers(0, 256, (rows, columns + padding)).astype(np.uint8)[:, :columns]
        for rows, columns in ((height, width), half, half)
    )
    with TemporaryDirectory() as folder:
        path = Path(folder) / "ring"
        with Ring.create(path, 3, Ring.slot_bytes_for(width, height)) as writer:
            generation = writer.write(1, y, u, v)
            with Ring.attach(path) as reader:
                for sent, got in zip((y, u, v), reader.planes(1, generation), strict=True):
                    assert np.array_equal(sent, got)
                assert reader.still(1, generation)


def test_a_reader_gets_views_of_the_memory_itself(path: Path) -> None:
    with Ring.create(path, 2, Ring.slot_bytes_for(64, 48)) as ring:
        generation = ring.write(0, *frame(64, 48, 7))
        y, u, _ = ring.planes(0, generation)
        assert not y.flags.writeable
        assert not y.flags.owndata
        with pytest.raises(ValueError, match="read-only"):
            u[0, 0] = 1
        ring.write(0, *frame(64, 48, 9))
        assert y[0, 0] == 9  # which is why one asks `still`


def test_an_overwritten_frame_is_gone(path: Path) -> None:
    with Ring.create(path, 2, Ring.slot_bytes_for(64, 48)) as ring:
        first = ring.write(0, *frame(64, 48, 1))
        assert ring.still(0, first)
        second = ring.write(0, *frame(32, 32, 2))
        assert second > first
        assert not ring.still(0, first)
        with pytest.raises(FrameGone, match=f"slot 0 of {path} no longer holds frame {first}"):
            ring.planes(0, first)
        assert [plane.shape for plane in ring.planes(0, second)] == [(32, 32), (16, 16), (16, 16)]


@pytest.mark.parametrize("generation", [0, 1, 2, 3, 2**63])
def test_a_frame_that_never_was_is_gone(path: Path, generation: int) -> None:
    with Ring.create(path, 2, 100) as ring, pytest.raises(FrameGone):
        ring.planes(0, generation)


def test_sizes() -> None:
    assert Ring.slot_bytes_for(1920, 1080) == 1920 * 1080 * 3 // 2
    assert Ring.slot_bytes_for(3, 5) == 15 + 2 * 6
    with pytest.raises(ValueError, match="0 x 5"):
        Ring.slot_bytes_for(0, 5)


def test_frames_that_do_not_fit_are_refused(path: Path) -> None:
    with Ring.create(path, 1, Ring.slot_bytes_for(64, 48)) as ring:
        assert ring.fits(64, 48)
        assert ring.fits(48, 64)
        assert not ring.fits(65, 48)
        generation = ring.write(0, *frame(64, 48, 1))
        y, u, v = frame(64, 48, 2)
        with pytest.raises(ValueError, match="65 x 48 does not fit"):
            ring.write(0, *frame(65, 48, 1))
        with pytest.raises(ValueError, match="chroma of 64 x 48 is 32 x 24, not 32 x 24 and 31 x"):
            ring.write(0, y, u, v[:, :-1])
        with pytest.raises(ValueError, match="contiguous"):
            ring.write(0, np.asfortranarray(y), u, v)
        with pytest.raises(ValueError, match="0 x 48"):
            ring.write(0, y[:, :0], u[:, :0], v[:, :0])
        for slot in (-1, 1):
            with pytest.raises(IndexError, match=f"slot {slot} of a ring of 1"):
                ring.write(slot, y, u, v)
        assert ring.still(0, generation)


def test_files_that_are_no_ring_are_refused(path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Ring.attach(path)
    for content, cause in (
        (b"", "not a frame ring"),
        (b"x" * 9000, "not a frame ring"),
        (b"onlooker" + struct.pack("=IIQ", 2, 1, 100) + bytes(5000), "version 2, not 1"),
        (b"onlooker" + struct.pack("=IIQ", 1, 1, 100) + bytes(500), "damaged"),
        (b"onlooker" + struct.pack("=IIQ", 1, 0, 100) + bytes(4072), "damaged"),
    ):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=cause):
            Ring.attach(path)


def test_a_ring_is_not_made_over_another_file(path: Path) -> None:
    path.write_text("mine")
    with pytest.raises(FileExistsError):
        Ring.create(path, 2, 100)
    assert path.read_text() == "mine"


@pytest.mark.parametrize(("slots", "slot_bytes"), [(0, 100), (2, 0), (-1, 100)])
def test_a_ring_without_room_is_refused(path: Path, slots: int, slot_bytes: int) -> None:
    with pytest.raises(ValueError, match="needs slots and bytes"):
        Ring.create(path, slots, slot_bytes)
    assert not path.exists()


def test_a_full_file_system_is_an_error_when_the_ring_is_made(path: Path) -> None:
    with pytest.raises(
        OSError, match=r"no room for 16 frames of .* lower \[pipeline\] window"
    ) as error:
        Ring.create(path, 16, 1 << 58)
    assert error.value.errno in (errno.ENOSPC, errno.EFBIG)
    assert not path.exists()


def test_all_memory_is_set_aside_at_once(path: Path) -> None:
    with Ring.create(path, 4, 1 << 20):
        assert path.stat().st_blocks * 512 >= 4 << 20


def test_views_outlive_the_ring_and_its_file(path: Path) -> None:
    ring = Ring.create(path, 2, Ring.slot_bytes_for(640, 480))
    y, u, v = ring.planes(1, ring.write(1, *frame(640, 480, 5)))
    ring.unlink()
    ring.close()
    ring.close()
    ring.unlink()
    assert not path.exists()
    assert {int(plane.max()) for plane in (y, u, v)} == {5}
    for use in (
        lambda: ring.write(0, y, u, v),
        lambda: ring.planes(1, 2),
        lambda: ring.still(1, 2),
    ):
        with pytest.raises(ValueError, match="is closed"):
            use()


def test_closed_rings_leave_no_memory_or_descriptor_behind(path: Path) -> None:
    before = len(os.listdir("/proc/self/fd")), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(200):
        with Ring.create(path, 4, 1 << 20) as ring:
            ring.planes(0, ring.write(0, *frame(640, 480, 5)))
            ring.unlink()
    after = len(os.listdir("/proc/self/fd")), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert after[0] == before[0]
    assert after[1] - before[1] < 32 << 10  # KiB; all of them would be 800 MiB


def test_the_gil_is_free_while_a_frame_is_copied(path: Path) -> None:
    planes = frame(8192, 8192, 1)
    with Ring.create(path, 1, Ring.slot_bytes_for(8192, 8192)) as ring:
        ring.write(0, *planes)
        writing = threading.Thread(target=lambda: [ring.write(0, *planes) for _ in range(3)])
        writing.start()
        turns, began = 0, time.perf_counter()
        while writing.is_alive():
            turns += 1
        took = time.perf_counter() - began
        writing.join()
    # With the GIL held there would be one turn in each of the three copies, at most.
    assert turns > 100, f"{turns} turns in {took:.3f} s"


# More than one process


def overwrite(path: Path, width: int, height: int, said: Connection) -> None:
    """Write frames of 1, 2, 3 ... 255, 1 ... into slot 0 for ever."""
    ring = Ring.attach(path)
    frames = [frame(width, height, value) for value in range(1, 256)]
    said.send("ready")
    while True:
        for planes in frames:
            ring.write(0, *planes)


def newest(path: Path) -> int:
    """The generation in slot 0, as it lies in the file."""
    with path.open("rb") as file:
        file.seek(FIRST_SLOT)
        return int.from_bytes(file.read(8), sys.byteorder)


@pytest.fixture
def overwritten(path: Path) -> Iterator[tuple[Ring, "multiprocessing.process.BaseProcess"]]:
    """A ring, and a process that writes to it without a pause."""
    ring = Ring.create(path, 1, Ring.slot_bytes_for(640, 480))
    here, there = PROCESSES.Pipe()
    process = PROCESSES.Process(target=overwrite, args=(path, 640, 480, there), daemon=True)
    process.start()
    assert here.recv() == "ready"
    yield ring, process
    process.kill()
    process.join()
    here.close()
    there.close()
    ring.close()


def test_a_torn_frame_is_never_taken_for_a_whole_one(
    path: Path, overwritten: tuple[Ring, "multiprocessing.process.BaseProcess"]
) -> None:
    ring, _ = overwritten
    whole = torn = gone = 0
    until = time.monotonic() + 200  # a busy machine gives the reader few chances
    while (whole < 200 or torn < 20) and time.monotonic() < until:
        generation = newest(path)
        try:
            y, u, v = ring.planes(0, generation)
        except FrameGone:
            gone += 1
            continue
        # Small corners of the frame are quick enough to be whole at times, all of it hardly ever.
        parts = (y[:2], v[-2:]) if whole < 200 else (y, u, v)
        values = {int(part.min()) for part in parts} | {int(part.max()) for part in parts}
        if ring.still(0, generation):
            assert len(values) == 1, f"torn: {values} in generation {generation}"
            whole += 1
        else:
            torn += 1
    assert whole >= 200
    assert torn >= 20


def test_a_writer_killed_half_way_leaves_no_frame(
    path: Path, overwritten: tuple[Ring, "multiprocessing.process.BaseProcess"]
) -> None:
    ring, process = overwritten
    for _ in range(1000):  # stopped in the middle of a frame sooner or later, mostly at once
        assert process.pid is not None
        os.kill(process.pid, signal.SIGSTOP)
        time.sleep(0.005)
        if newest(path) % 2:
            break
        os.kill(process.pid, signal.SIGCONT)
        time.sleep(0.001)
    process.kill()
    process.join()
    killed = newest(path)
    assert killed % 2 == 1
    for generation in (killed - 1, killed, killed + 1):
        with pytest.raises(FrameGone):
            ring.planes(0, generation)
    assert not ring.still(0, killed - 1)
    again = ring.write(0, *frame(640, 480, 77))
    assert again % 2 == 0
    assert again > killed + 1  # nobody may take it for the frame that was not finished
    assert {int(plane.min()) for plane in ring.planes(0, again)} == {77}
