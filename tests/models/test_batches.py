"""Batches: the results of one image at a time, few shapes, threads that share, errors."""

import ctypes
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from onlooker.models import batches, self_test, session, weights
from onlooker.models.batches import Batches, CardFailed, CardFull
from onlooker.models.buffers import Buffers
from onlooker.models.card import card, cards

Pixels = NDArray[np.uint8]


def batched(name: str, sizes: tuple[int, ...] = (1, 4)) -> Batches:
    """Return a model in batches on the processor."""
    found = card(name)
    width, height = found.probe.size

    def make(n: int, height: int, width: int) -> Any:
        path = weights.path(name)
        return session._session(found, path, "cpu", "fp32", n=n, height=height, width=width)

    return Batches(make, Buffers(), (height, width), sizes)


@pytest.mark.parametrize("name", [each.name for each in cards().values() if not each.optional])
def test_a_batch_gives_what_each_image_gives_alone(name: str) -> None:
    alone = session.load(name, "cpu")
    [probe] = self_test.batch(alone.card)
    # Six images: a full batch, and one that is filled up.
    images = [np.roll(probe, 9 * step, 1) for step in range(6)]
    together = batched(name)(images)
    assert len(together) == len(alone.outputs)
    for whole, each in zip(together, alone(images), strict=True):
        np.testing.assert_allclose(whole, each, rtol=1e-3, atol=1e-4)


class Fake:
    """A session that adds the first byte of each image up with its place in the batch."""

    def __init__(self, shape: tuple[int, ...], run: Callable[[Pixels], None]) -> None:
        self.shape = shape
        self.on_run = run

    def get_inputs(self) -> list[SimpleNamespace]:
        return [SimpleNamespace(name="x")]

    def get_outputs(self) -> list[SimpleNamespace]:
        return [SimpleNamespace(name="first"), SimpleNamespace(name="size")]

    def get_modelmeta(self) -> SimpleNamespace:
        return SimpleNamespace(custom_metadata_map={"character": "a"})

    def run(self, names: None, feeds: dict[str, Pixels]) -> list[NDArray[Any]]:
        images = feeds["x"]
        assert images.shape == (*self.shape, 3)
        return [images[:, 0, 0, 0].astype(np.float32), np.full(len(images), len(images))]

    def io_binding(self) -> "Binding":
        return Binding()

    def run_with_iobinding(self, binding: "Binding") -> None:
        self.on_run(binding.arrays["x"])
        for name, values in zip(
            ("first", "size"), self.run(None, {"x": binding.arrays["x"]}), strict=True
        ):
            binding.arrays[name][:] = values


class Binding:
    """Bound arrays, found by their addresses as ONNX Runtime does."""

    def __init__(self) -> None:
        self.arrays: dict[str, NDArray[Any]] = {}

    def bind_input(self, name: str, *rest: Any) -> None:
        place, device, kind, shape, address = rest
        assert (place, device) == ("cpu", 0)
        size = int(np.prod(shape)) * np.dtype(kind).itemsize
        memory = (ctypes.c_char * size).from_address(address)
        self.arrays[name] = np.frombuffer(memory, kind).reshape(shape)

    bind_output = bind_input


def fakes(
    sizes: tuple[int, ...] = (1, 4, 16), run: Callable[[Pixels], None] = lambda _: None
) -> tuple[Batches, list[tuple[int, int, int]]]:
    made: list[tuple[int, int, int]] = []

    def make(*shape: int) -> Fake:
        made.append(shape)  # type: ignore[arg-type]
        return Fake(shape, run)

    return Batches(make, Buffers(), (8, 8), sizes), made


def image(number: int, height: int = 8, width: int = 8) -> Pixels:
    return np.full((height, width, 3), number, np.uint8)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 255), min_size=1, max_size=70))
def test_any_number_of_images_comes_back_in_order(numbers: list[int]) -> None:
    model, made = fakes()
    first, _ = model([image(number) for number in numbers])
    assert first.tolist() == numbers
    assert {batch for batch, _, _ in made} <= {1, 4, 16}


def test_each_shape_is_planned_once() -> None:
    model, made = fakes()
    for count in (3, 4, 2, 1, 3):
        _, size = model([image(0)] * count)
        assert len(size) == count
    model([image(0, 16, 8)] * 2)
    # The first session only tells the outputs' names; one image fits into a batch of 4.
    assert made == [(1, 8, 8), (4, 8, 8), (4, 16, 8)]
    model.prepare(16, 8)
    first, size = model([image(7, 16, 8)] * 5)
    assert (first.tolist(), size.tolist()) == ([7] * 5, [16] * 5)
    assert made[3:] == [(16, 16, 8)]
    assert (model.outputs, model.metadata) == (("first", "size"), {"character": "a"})


def test_large_images_come_in_smaller_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "MAX_PIXELS", 4 * 8 * 8)
    model, made = fakes()
    first, size = model([image(number) for number in range(6)])
    assert (first.tolist(), size.tolist()) == ([*range(6)], [4] * 6)
    model([image(1, 32, 32)] * 3)
    model.prepare(32, 32)
    assert made == [(1, 8, 8), (4, 8, 8), (1, 32, 32)]


def test_threads_that_wait_for_the_card_share_its_next_run() -> None:
    began, go, runs = threading.Event(), threading.Event(), []

    def run(images: Pixels) -> None:
        runs.append(len(images))
        began.set()
        assert go.wait(60)

    model, _ = fakes(run=run)

    def ask(number: int) -> list[float]:
        first, _ = model([image(number), image(number + 100)])
        return [float(each) for each in first]

    with ThreadPoolExecutor(9) as pool:
        answers = [pool.submit(ask, 0)]
        assert began.wait(60)
        answers += [pool.submit(ask, number) for number in range(1, 9)]
        while sum(len(queue.waiting) for queue in model._queues.values()) < 8:
            pass
        go.set()
        assert [each.result() for each in answers] == [[n, n + 100] for n in range(9)]
    # Two images of the first, then 16 of the other eight.
    assert runs == [4, 16]


@pytest.mark.parametrize(
    ("text", "kind", "told"),
    [
        ("CUDA failure 719: unspecified launch failure", CardFailed, "nvidia-smi"),
        ("CUDNN failure 5003: EXECUTION_FAILED", CardFailed, "has failed"),
        ("CUDA failure 2: out of memory ; GPU=0", CardFull, "batch"),
        ("bfc_arena.cc:376 Failed to allocate memory for requested buffer", CardFull, "workers"),
        ("Non-zero status code returned while running Conv", RuntimeError, "Conv"),
    ],
)
def test_errors_reach_every_thread_and_say_what_to_do(
    text: str, kind: type[Exception], told: str
) -> None:
    def run(images: Pixels) -> None:
        if images[0, 0, 0, 0] == 13:
            raise RuntimeError(text)

    model, _ = fakes(run=run)
    with pytest.raises(kind, match=told) as raised:
        model([image(13)])
    assert text in str(raised.value)
    first, _ = model([image(1)])
    assert first.tolist() == [1]
