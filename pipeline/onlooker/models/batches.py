"""Batches on a card: few fixed shapes, each planned once and kept, shared by all threads.

A card is busy for one image as long as for ten, since its time goes into starting some hundred
kernels; and a session plans all its convolutions again whenever its input's shape changes. So there
is a session for each input size and each of a few batch sizes, and a batch is filled up to one of
them.

Threads that run a model while the card is busy wait for it together: whoever gets the card next
runs the images of all of them. A lone image never waits for others to come.
"""

import threading
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onlooker.errors import OnlookerError
from onlooker.models.buffers import Buffers
from onlooker.models.model import Images, Outputs

BATCHES = (1, 4, 16, 32)
"""Images of one run."""
MAX_PIXELS = BATCHES[-1] * 640 * 384
"""Pixels of one run of several images: it bounds the memory of the card."""
MAX_PLANS = 100
"""Shapes of one model that are kept."""

FULL = ("out of memory", "Failed to allocate memory", "smaller than requested bytes")
"""Parts of ONNX Runtime's errors if the card's memory is full."""
FAILED = ("CUDA failure", "CUDNN failure", "CUBLAS failure", "CUDA error", "cudaError")
"""Parts of ONNX Runtime's errors if the card, or its driver, has failed."""

Shape = tuple[int, ...]
"""Height, width, channels."""

_card = threading.Lock()
"""Held during each run: all sessions share the card's memory, in which one run may get what the
run before it has given back."""


class CardError(OnlookerError):
    """A model cannot run on the card; the text is for the user."""


class CardFull(CardError):
    """The card's memory is full."""


class CardFailed(CardError):
    """The card or its driver has failed. No run of this process will succeed; another's may."""


class Batches:
    """Runs the images of one model in batches, for any number of threads.

    make: returns a session for images (batch, height, width). buffers: memory for inputs and
    outputs. sizes: batch sizes, ascending, from 1 on. first: height and width of the first plan.
    """

    def __init__(
        self,
        make: Callable[[int, int, int], Any],
        buffers: Buffers,
        first: tuple[int, int],
        sizes: Sequence[int] = BATCHES,
    ) -> None:
        self._buffers = buffers
        self._sizes = sizes
        self._lock = threading.Lock()
        self._waiting: defaultdict[Shape, deque[_Request]] = defaultdict(deque)
        """By the shape of their images, oldest first."""

        @lru_cache(MAX_PLANS)
        def plan(batch: int, height: int, width: int) -> _Plan:
            return _Plan(make(batch, height, width), (batch, height, width, 3), buffers)

        self._plan = plan
        with _card:
            begun = plan(1, *first)
        self.outputs = begun.outputs
        self.metadata = begun.metadata

    def __call__(self, images: Images) -> Outputs:
        """Return the outputs for images of one size. Raises CardError."""
        most = self._most(images[0].shape)
        parts = [
            self._shared(images[start : start + most]) for start in range(0, len(images), most)
        ]
        if len(parts) == 1:
            return parts[0]
        return [np.concatenate(each) for each in zip(*parts, strict=True)]

    def prepare(self, height: int, width: int) -> None:
        """Plan all batches of images of one size. Raises CardError."""
        most = self._most((height, width, 3))
        for size in self._sizes:
            if size <= most:
                with _card:
                    self._plan(size, height, width)

    def _most(self, shape: Shape) -> int:
        """Return how many images of a shape fit into one run."""
        height, width, _ = shape
        return max(size for size in self._sizes if size == 1 or size * height * width <= MAX_PIXELS)

    def _shared(self, images: Images) -> Outputs:
        # Copied before it is this thread's turn: the card does not wait for it.
        request = _Request(self._filled([images]), len(images))
        shape = images[0].shape
        with self._lock:
            self._waiting[shape].append(request)
        with _card:
            while not request.done:
                self._run(self._next(shape))
        if request.error is not None:
            raise request.error
        return request.outputs

    def _next(self, shape: Shape) -> "list[_Request]":
        """Take the requests of the next run: the oldest, and those that fit beside it."""
        most = self._most(shape)
        with self._lock:
            waiting = self._waiting[shape]
            taken = [waiting.popleft()]
            room = most - taken[0].count
            while waiting and waiting[0].count <= room:
                taken.append(waiting.popleft())
                room -= taken[-1].count
        return taken

    def _run(self, requests: "list[_Request]") -> None:
        try:
            if len(requests) == 1:
                images = requests[0].images
            else:
                images = self._filled([each.images[: each.count] for each in requests])
            outputs = self._plan(*images.shape[:3]).run(images)
        except Exception as error:
            for each in requests:
                each.error, each.done = _explained(error), True
            return
        start = 0
        for each in requests:
            each.outputs = [output[start : start + each.count] for output in outputs]
            each.done = True
            start += each.count

    def _filled(self, groups: Sequence[Images]) -> NDArray[np.uint8]:
        """Return the images in an array of the next batch size; its rest is undefined."""
        count = sum(map(len, groups))
        size = next(size for size in self._sizes if size >= count)
        images = self._buffers.empty((size, *groups[0][0].shape), np.uint8)
        for place, image in enumerate(image for group in groups for image in group):
            images[place] = image
        return images


class _Request:
    """Images of one thread that wait for the card, and what became of them."""

    def __init__(self, images: NDArray[np.uint8], count: int) -> None:
        self.images = images
        self.count = count
        """The first of `images` that are meant."""
        self.outputs: Outputs = []
        self.error: Exception | None = None
        self.done = False


class _Plan:
    """A session whose input has one shape."""

    def __init__(self, session: Any, shape: Shape, buffers: Buffers) -> None:
        self.outputs = tuple(each.name for each in session.get_outputs())
        self.metadata = session.get_modelmeta().custom_metadata_map
        [given] = session.get_inputs()
        self._input = given.name
        self._session = session
        self._buffers = buffers
        # The first run plans the kernels, and shows the shapes of the outputs.
        try:
            found = session.run(None, {self._input: np.zeros(shape, np.uint8)})
        except Exception as error:
            raise _explained(error) from error
        self._kinds = [(each.shape, each.dtype) for each in found]

    def run(self, images: NDArray[np.uint8]) -> Outputs:
        """Return the outputs for images of the plan's shape, from its buffers."""
        binding = self._session.io_binding()
        binding.bind_input(self._input, "cpu", 0, np.uint8, images.shape, images.ctypes.data)
        outputs = [self._buffers.empty(shape, kind) for shape, kind in self._kinds]
        for name, output in zip(self.outputs, outputs, strict=True):
            binding.bind_output(name, "cpu", 0, output.dtype.type, output.shape, output.ctypes.data)
        self._session.run_with_iobinding(binding)
        return outputs


def _explained(error: Exception) -> Exception:
    """Return the error of a run for the user, if the cause is the card."""
    text = str(error)
    if any(part in text for part in FULL):
        return CardFull(
            f"the card's memory is full: {text}; `nvidia-smi` shows who uses it; set [pipeline] "
            "workers or [pipeline] batch lower"
        )
    if any(part in text for part in FAILED):
        return CardFailed(f"the card has failed: {text}; `nvidia-smi` must show it")
    return error
