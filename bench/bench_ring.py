"""Cost of handing a 1080p frame to another process: through the ring, and copied by ZeroMQ.

One process sends, one reads and answers each frame; at most four are in flight. All ways use the
same ipc socket and touch the same pixels at the other end:

    further reader   the frame is in the ring already: (slot, generation) is sent
    first reader     the frame is written into the ring, then that is sent
    zmq copy         the pixels themselves are sent

CPU is user and system time of both processes per frame. The ways take turns; the table has the
median of the rounds and their spread.

    PYTHONPATH=pipeline python -m bench.bench_ring [--frames 500] [--rounds 5]
"""

import argparse
import multiprocessing
import resource
import statistics
import struct
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import zmq
from bench.support.machine import measured_with
from numpy.typing import NDArray

from onlooker.stream.ring import Ring

WIDTH, HEIGHT = 1920, 1080
LUMA = WIDTH * HEIGHT
FRAME = Ring.slot_bytes_for(WIDTH, HEIGHT)
SLOTS = 16
IN_FLIGHT = 4
WAYS = ("further reader", "first reader", "zmq copy")
TARGET = 0.1

DESCRIPTOR = struct.Struct("=iQ")
SECONDS = struct.Struct("=d")
BEGIN, END = b"begin", b"end"

Planes = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]


@dataclass(frozen=True, slots=True)
class Cost:
    """Milliseconds per frame."""

    cpu: float
    wall: float


def planes_of(frame: NDArray[np.uint8]) -> Planes:
    u, v = frame[LUMA:].reshape(2, HEIGHT // 2, WIDTH // 2)
    return frame[:LUMA].reshape(HEIGHT, WIDTH), u, v


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def read(endpoint: str, ring_path: Path) -> None:
    """Answer each frame, then send the CPU seconds used: the reading process."""
    with (
        zmq.Context() as context,
        context.socket(zmq.PAIR) as socket,
        Ring.attach(ring_path) as ring,
    ):
        socket.connect(endpoint)
        socket.send(BEGIN)
        began = 0.0
        while (message := socket.recv()) != END:
            if message == BEGIN:
                began = cpu()
                continue
            if len(message) == DESCRIPTOR.size:
                slot, generation = DESCRIPTOR.unpack(message)
                touch(ring.planes(slot, generation))
                assert ring.still(slot, generation)
            else:
                touch(planes_of(np.frombuffer(message, np.uint8)))
            socket.send(b"")
        socket.send(SECONDS.pack(cpu() - began))


def touch(planes: Planes) -> int:
    return sum(int(plane[0, 0]) + int(plane[-1, -1]) for plane in planes)


def measure(way: str, frames: int, folder: Path) -> Cost:
    """Hand `frames` frames to a new process."""
    endpoint = f"ipc://{folder}/socket"
    decoded = np.random.default_rng(0).integers(0, 256, (IN_FLIGHT, FRAME)).astype(np.uint8)
    with (
        Ring.create(folder / "ring", SLOTS, FRAME) as ring,
        zmq.Context() as context,
        context.socket(zmq.PAIR) as socket,
    ):
        socket.bind(endpoint)
        reader = multiprocessing.get_context("spawn").Process(
            target=read, args=(endpoint, folder / "ring")
        )
        reader.start()
        assert socket.recv() == BEGIN
        generations = [
            ring.write(slot, *planes_of(decoded[slot % IN_FLIGHT])) for slot in range(SLOTS)
        ]
        socket.send(BEGIN)
        used, began = cpu(), time.perf_counter()
        for number in range(frames):
            if number >= IN_FLIGHT:
                socket.recv()
            slot, frame = number % SLOTS, decoded[number % IN_FLIGHT]
            if way == "first reader":
                generations[slot] = ring.write(slot, *planes_of(frame))
            if way == "zmq copy":
                socket.send(frame)
            else:
                socket.send(DESCRIPTOR.pack(slot, generations[slot]))
        for _ in range(min(frames, IN_FLIGHT)):
            socket.recv()
        wall, here = time.perf_counter() - began, cpu() - used
        socket.send(END)
        (there,) = SECONDS.unpack(socket.recv())
        reader.join()
        ring.unlink()
    return Cost(cpu=(here + there) / frames * 1000, wall=wall / frames * 1000)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--frames", type=int, default=500)
    arguments.add_argument("--rounds", type=int, default=5)
    chosen = arguments.parse_args()
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        costs: dict[str, list[Cost]] = {way: [] for way in WAYS}
        for _ in range(chosen.rounds):
            for way in WAYS:
                costs[way].append(measure(way, chosen.frames, Path(folder)))

    print(f"{measured_with('pyzmq')}, zmq {zmq.zmq_version()}")
    print(f"{WIDTH} x {HEIGHT} I420, {FRAME / 2**20:.2f} MiB; CPU of both processes")
    print(f"{'':16}{'CPU ms/frame':>14}{'spread':>18}{'wall ms/frame':>15}{'zmq copy is':>13}")
    copied = statistics.median(cost.cpu for cost in costs["zmq copy"])
    for way in WAYS:
        used = sorted(cost.cpu for cost in costs[way])
        middle = statistics.median(used)
        print(
            f"{way:16}{middle:>14.3f}{f'{used[0]:.3f} - {used[-1]:.3f}':>18}"
            f"{statistics.median(cost.wall for cost in costs[way]):>15.3f}"
            f"{f'x {copied / middle:.1f}':>13}"
        )
    further = statistics.median(cost.cpu for cost in costs["further reader"])
    print(
        f"target: at most {TARGET} ms for each reader: {'met' if further <= TARGET else 'missed'}"
    )


if __name__ == "__main__":
    main()
