"""Batches on a card: few fixed shapes, each planned once and kept, shared by all threads.

A card is busy for one image nearly as long as for ten, since its time goes into starting some
hundred kernels; and a session plans all its convolutions again whenever its input's shape changes,
which takes one to four seconds (an H100; cuDNN compiles kernels). So there is a session for each
input size and each of a few batch sizes, and a batch is filled up to one that exists. Plans are
made in a thread of their own, one after the other: cuDNN compiles no faster in several.

Threads that run a model on images of one size while it is busy with others wait together: whoever
gets it next runs the images of all of them. A lone image never waits for others to come.
"""

import threading
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onlooker.errors import OnlookerError
from onlooker.models.buffers import Buffers
from onlooker.models.model import Images, Outputs

BATCHES = (1, 4, 32)
"""Images of one run."""
MAX_PIXELS = 32 * 640 * 384
"""Pixels of one run of several images: it bounds the memory of the card."""
MAX_PLANS = 200
"""Shapes of one model that are kept."""

FULL = ("out of memory", "Failed to allocate memory", "smaller than requested bytes")
"""Parts of ONNX Runtime's errors if the card's memory is full."""
FAILED = ("CUDA failure", "CUDNN failure", "CUBLAS failure", "CUDA error", "cudaError")
"""Parts of ONNX Runtime's errors if the card, or its driver, has failed."""

Shape = tuple[int, ...]
"""Height, width, channels."""

_planner = ThreadPoolExecutor(1, thread_name_prefix="plan")


class CardError(OnlookerError):
    """A model cannot run on the card; the text is for the user."""


class CardFull(CardError):
    """The card's memory is full."""


class CardFailed(CardError):
    """The card or its driver has failed. No run of this process will succeed; another's may."""


class Batches:
    """Runs the images of one model in batches, for any number of threads.

    make: returns a session for images (batch, height, width). buffers: memory for inputs and
    outputs. sizes: batch sizes, ascending, from 1 on. first: any height and width of an input.
    """

    def __init__(
        self,
        make: Callable[[int, int, int], Any],
        buffers: Buffers,
        first: tuple[int, int],
        sizes: Sequence[int] = BATCHES,
    ) -> None:
        self._make = make
        self._buffers = buffers
        self._sizes = sizes
        self._lock = threading.Lock()
        self._queues: defaultdict[Shape, _Queue] = defaultdict(_Queue)
        """By the shape of the images."""
        self._plans: OrderedDict[Shape, Future[_Plan]] = OrderedDict()
        """By batch, height and width; the one that was used last at the end."""
        unplanned = make(1, *first)
        self.outputs = tuple(each.name for each in unplanned.get_outputs())
        self.metadata = unplanned.get_modelmeta().custom_metadata_map

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
        """Begin to plan the largest batch of images of one size, which smaller ones can use too."""
        self._plan(self._most((height, width, 3)), height, width)

    def _most(self, shape: Shape) -> int:
        """Return how many images of a shape fit into one run."""
        height, width, _ = shape
        return max(size for size in self._sizes if size == 1 or size * height * width <= MAX_PIXELS)

    def _plan(self, batch: int, height: int, width: int) -> "Future[_Plan]":
        key = batch, height, width
        with self._lock:
            if key not in self._plans:
                while len(self._plans) >= MAX_PLANS:
                    self._plans.popitem(last=False)
                self._plans[key] = _planner.submit(self._planned, key)
            self._plans.move_to_end(key)
            return self._plans[key]

    def _size(self, count: int, height: int, width: int) -> int:
        """Return the batch size for `count` images: the smallest that is planned, or begun.

        A batch that is not full takes less time than another plan. Without one it is the smallest
        that fits.
        """
        fitting = [size for size in self._sizes if size >= count]
        with self._lock:
            planned = [size for size in fitting if (size, height, width) in self._plans]
        return min(planned or fitting)

    def _planned(self, key: tuple[int, int, int]) -> "_Plan":
        return _Plan(self._make(*key), (*key, 3), self._buffers)

    def _shared(self, images: Images) -> Outputs:
        # Copied before it is this thread's turn: the card does not wait for it.
        request = _Request(self._filled([images]), len(images))
        shape = images[0].shape
        with self._lock:
            queue = self._queues[shape]
            queue.waiting.append(request)
        with queue.running:
            while not request.done:
                self._run(self._next(queue.waiting, self._most(shape)))
        if request.error is not None:
            raise request.error
        return request.outputs

    def _next(self, waiting: "deque[_Request]", most: int) -> "list[_Request]":
        """Take the requests of the next run: the oldest, and those that fit beside it."""
        with self._lock:
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
            outputs = self._plan(*images.shape[:3]).result().run(images)
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
        """Return the images in an array of a batch's size; its rest is undefined."""
        shape = groups[0][0].shape
        size = self._size(sum(map(len, groups)), *shape[:2])
        images = self._buffers.empty((size, *shape), np.uint8)
        for place, image in enumerate(image for group in groups for image in group):
            images[place] = image
        return images


class _Queue:
    """Requests for images of one size."""

    def __init__(self) -> None:
        self.waiting: deque[_Request] = deque()
        """Oldest first."""
        self.running = threading.Lock()
        """Held while some of them run."""


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
