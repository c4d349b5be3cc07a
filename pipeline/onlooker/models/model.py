"""A loaded model: images in, the graph's outputs out."""

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from onlooker.models.card import Card

Images: TypeAlias = "Sequence[NDArray[np.uint8]] | NDArray[np.uint8]"
"""Images (height, width, 3) of one size, BGR."""
Outputs: TypeAlias = "list[NDArray[Any]]"
"""The outputs of a graph, in its order; the first axis of each is the batch."""


LENGTH_DIGITS = 2
"""Binary digits of the lengths that OpenVINO and CUDA are given, the further ones being 0."""
MIN_PADDED_LENGTH = 64
"""Shorter lines are read differently if they are padded."""


class Runner(Protocol):
    """The way in which a provider runs the images of one size."""

    outputs: tuple[str, ...]
    """Names of the graph's outputs, in its order."""
    metadata: Mapping[str, str]
    """Of the model's file."""

    def __call__(self, images: Images) -> Outputs:
        """Return the graph's outputs for one image or more."""

    def prepare(self, height: int, width: int) -> None:
        """Do what the first images of this size would wait for."""


class OneByOne:
    """Runs one image after the other, on a session whose batch is fixed at 1.

    OpenVINO is x1.6 faster so than with a free batch (MobileFaceNet, mesh), and no result can
    depend on the other images. A graph whose batch is free gets all of them at once.
    """

    def __init__(self, session: Any) -> None:
        self.outputs = tuple(each.name for each in session.get_outputs())
        self.metadata = session.get_modelmeta().custom_metadata_map
        [given] = session.get_inputs()
        self._input = given.name
        self._one_by_one = given.shape[0] == 1
        self._session = session

    def __call__(self, images: Images) -> Outputs:
        if len(images) > 1 and self._one_by_one:
            runs = [self._run(image[None]) for image in images]
            return [np.concatenate(each) for each in zip(*runs, strict=True)]
        return self._run(images[0][None] if len(images) == 1 else np.stack([*images]))

    def prepare(self, height: int, width: int) -> None:
        pass

    def _run(self, images: NDArray[np.uint8]) -> Outputs:
        outputs: Outputs = self._session.run(None, {self._input: images})
        return outputs


class Model:
    """A loaded model; calling it runs it.

    On CUDA several threads may run it at once: their images share batches. On other providers it
    is not to be used from two threads at once.

    provider: "cpu", "openvino" or "cuda". precision: "fp32", "bf16" or "tf32". outputs: the
    outputs' names, in the graph's order. metadata: that of the file. calls, seconds: number of runs
    so far, and the time they took.
    """

    def __init__(self, card: Card, provider: str, precision: str, runner: Runner) -> None:
        self.name = card.name
        self.card = card
        self.provider = provider
        self.precision = precision
        self.outputs = runner.outputs
        self.metadata = runner.metadata
        self.calls = 0
        self.seconds = 0.0
        self._runner = runner

    def __call__(self, images: Images) -> Outputs:
        """Return the graph's outputs, in its order, for images of one size.

        Raises ValueError if there are none.
        """
        began = time.perf_counter()
        if len(images) == 0:
            raise ValueError(f"{self.name}: the batch has no images")
        outputs = self._runner(images)
        self._count(time.perf_counter() - began)
        return outputs

    def run_each(self, images: Sequence[NDArray[np.uint8]]) -> list[Outputs]:
        """Return the graph's outputs for each image (height, width, 3), BGR, of any sizes.

        Images of one size go in one batch. Each output keeps its batch axis, of length 1.
        """
        by_shape: dict[tuple[int, ...], list[int]] = {}
        for number, image in enumerate(images):
            by_shape.setdefault(image.shape, []).append(number)
        found: list[Outputs] = [[] for _ in images]
        for numbers in by_shape.values():
            outputs = self([images[number] for number in numbers])
            for place, number in enumerate(numbers):
                found[number] = [output[place : place + 1] for output in outputs]
        return found

    def prepare(self, sizes: Iterable[tuple[int, int]]) -> None:
        """Plan inputs of these heights and widths on a card, before a frame waits for it."""
        for height, width in sizes:
            self._runner.prepare(height, width)

    def length(self, min_length: int) -> int:
        """Return the length for an input that may have any from `min_length` on.

        OpenVINO compiles kernels for each shape, which it keeps, and CUDA plans it. So there are
        only two steps from one power of two to the next.
        """
        step = self.card.multiple
        if self.provider != "cpu" and min_length > MIN_PADDED_LENGTH:
            step = max(step, 1 << (min_length.bit_length() - LENGTH_DIGITS))
        return -(-min_length // step) * step

    def _count(self, took: float) -> None:
        global _seconds
        with _lock:
            self.calls += 1
            self.seconds += took
            _seconds += took


_seconds = 0.0
_lock = threading.Lock()  # threads that share a model would lose additions


def seconds() -> float:
    """Return the time that all models of this process have run so far, over all threads."""
    return _seconds
