"""Inference sessions: ONNX Runtime with one thread, and a provider by fixed rules.

One session has one thread, since two sessions of two threads spin against each other; parallelism
comes from processes. The choice of the provider never depends on a measurement at run time, so that
the same machine gives the same records every time.
"""

import functools
import json
import logging
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onlooker.models import precision, self_test, weights
from onlooker.models.card import Card, WeightsError
from onlooker.models.card import card as find_card

logger = logging.getLogger(__name__)

PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "cuda": "CUDAExecutionProvider",
}
EXTRAS = {"cpu": "cpu", "openvino": "openvino", "cuda": "gpu"}
"""The extra of the package with a provider."""
NEEDS = {"cuda": "`nvidia-smi` must show a card; for the libraries "}
"""What a provider needs besides its extra, for error texts."""

MAX_SHAPES = 40
"""Input shapes for which a model on CUDA keeps a session each."""


class Model:
    """A loaded model; calling it runs it. Not to be used from two threads at once.

    The images of a batch run one by one if the session's batch is fixed at 1, as that of our models
    is: it makes OpenVINO x1.6 faster than a free batch (MobileFaceNet, mesh), and no result can
    depend on the other images.

    provider: "cpu", "openvino" or "cuda". precision: "fp32" or "bf16". outputs: the outputs' names,
    in the graph's order. metadata: that of the file. calls, seconds: number of runs so far, and the
    time they took.
    """

    def __init__(self, card: Card, provider: str, precision: str, session: Any) -> None:
        self.name = card.name
        self.card = card
        self.provider = provider
        self.precision = precision
        self.outputs: tuple[str, ...] = tuple(each.name for each in session.get_outputs())
        self.metadata: Mapping[str, str] = session.get_modelmeta().custom_metadata_map
        self.calls = 0
        self.seconds = 0.0
        [given] = session.get_inputs()
        self._input = given.name
        self._one_by_one = given.shape[0] == 1
        self._session = session

    def __call__(self, images: NDArray[np.uint8]) -> list[NDArray[Any]]:
        """Return the graph's outputs, in its order, for images (n, height, width, 3), BGR.

        Raises ValueError if there are none.
        """
        began = time.perf_counter()
        size = len(images)
        if size == 0:
            raise ValueError(f"{self.name}: the batch has no images")
        if size > 1 and self._one_by_one:
            runs = [self._run(images[at : at + 1]) for at in range(size)]
            outputs = [np.concatenate(each) for each in zip(*runs, strict=True)]
        else:
            outputs = self._run(images)
        took = time.perf_counter() - began
        self.seconds += took
        self.calls += 1
        _add_seconds(took)
        return outputs

    def run_each(self, images: Sequence[NDArray[np.uint8]]) -> list[list[NDArray[Any]]]:
        """Return the graph's outputs for each image (height, width, 3), BGR, of any sizes.

        Images of one size go in one batch. Each output keeps its batch axis, of length 1.
        """
        by_shape: dict[tuple[int, ...], list[int]] = {}
        for number, image in enumerate(images):
            by_shape.setdefault(image.shape, []).append(number)
        found: list[list[NDArray[Any]]] = [[] for _ in images]
        for numbers in by_shape.values():
            outputs = self(_stacked([images[number] for number in numbers]))
            for place, number in enumerate(numbers):
                found[number] = [output[place : place + 1] for output in outputs]
        return found

    def length(self, min_length: int) -> int:
        """Return the length for an input that may have any from `min_length` on.

        On CUDA, where the first run of each shape is slow, there are only four steps from one power
        of two to the next.
        """
        step = self.card.multiple
        if self.provider == "cuda":
            step = max(step, 1 << max(0, min_length.bit_length() - 3))
        return -(-min_length // step) * step

    def _run(self, images: NDArray[np.uint8]) -> list[NDArray[Any]]:
        outputs: list[NDArray[Any]] = self._session.run(None, {self._input: images})
        return outputs


def _stacked(images: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    return images[0][None] if len(images) == 1 else np.stack(images)


class _Shapes:
    """A session for each input shape.

    On CUDA a session plans all its convolutions again whenever the input shape changes, which took
    720 ms while a run took 2.7 (the reader, on an H200).
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        unused = [make()]
        self._inputs, self._outputs = unused[0].get_inputs(), unused[0].get_outputs()
        self._metadata = unused[0].get_modelmeta()
        self._of = functools.lru_cache(MAX_SHAPES)(lambda shape: unused.pop() if unused else make())

    def get_inputs(self) -> Any:
        return self._inputs

    def get_outputs(self) -> Any:
        return self._outputs

    def get_modelmeta(self) -> Any:
        return self._metadata

    def run(self, outputs: None, feeds: Mapping[str, NDArray[Any]]) -> Any:
        [images] = feeds.values()
        return self._of(images.shape).run(outputs, feeds)


def load(name: str, provider: str = "auto") -> Model:
    """Return the model called `name`, ready to run; its weights are built on first use.

    provider: "auto", "cpu", "openvino" or "cuda". Raises WeightsError if the model or the provider
    is not available.
    """
    card = find_card(name)
    path = weights.path(name)
    chosen = choose(card, provider)
    model = _in_bf16(card, path) if provider in ("auto", "openvino") else None
    if model is None:
        make = functools.partial(_session, card, path, chosen, "fp32")
        model = Model(card, chosen, "fp32", _Shapes(make) if chosen == "cuda" else make())
    logger.debug("model=%s provider=%s precision=%s", name, model.provider, model.precision)
    return model


_seconds = 0.0
_seconds_lock = threading.Lock()  # Python without a GIL may lose additions


def _add_seconds(took: float) -> None:
    global _seconds
    with _seconds_lock:
        _seconds += took


def seconds() -> float:
    """Return the time that all models of this process have run so far, over all threads."""
    return _seconds


def available() -> tuple[str, ...]:
    """Return the names of the providers that the installed ONNX Runtime has."""
    installed = _onnxruntime().get_available_providers()
    return tuple(name for name, provider in PROVIDERS.items() if provider in installed)


def choose(card: Card, wanted: str) -> str:
    """Return the provider that runs the card's model in fp32; `wanted` is "auto" or a provider.

    Raises WeightsError if it is not available.
    """
    there = available()
    if wanted == "auto":
        return card.run.provider if card.run.provider in there else "cpu"
    if wanted not in PROVIDERS:
        known = ", ".join(["auto", *PROVIDERS])
        raise WeightsError(f"no provider is called {wanted!r}; known ones are {known}")
    if wanted not in there:
        raise WeightsError(
            f"this ONNX Runtime has no {wanted} provider; uninstall it and run "
            f'`pip install "onlooker[{EXTRAS[wanted]}]"`, or set runtime.provider to "auto"'
        )
    return wanted


def _onnxruntime() -> ModuleType:
    try:
        import onnxruntime
    except ImportError as error:
        raise WeightsError(
            'ONNX Runtime is not installed; run `pip install "onlooker[openvino]"` on x86-64, '
            'or `pip install "onlooker[cpu]"`'
        ) from error
    module: ModuleType = onnxruntime
    return module


@functools.cache
def _share_memory() -> None:
    """Let all sessions share one arena: otherwise each keeps the memory of its largest image."""
    onnxruntime = _onnxruntime()
    kind = onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR
    place = onnxruntime.OrtMemoryInfo("Cpu", kind, 0, onnxruntime.OrtMemType.DEFAULT)
    onnxruntime.create_and_register_allocator(place, None)


@functools.cache
def _find_libraries() -> None:
    """Load CUDA and cuDNN from NVIDIA's packages, which the extra brings, or from the system."""
    with redirect_stdout(sys.stderr):  # it prints the name of each that is missing
        _onnxruntime().preload_dlls(directory="")


def _session(card: Card, path: Path, provider: str, precision: str) -> Any:
    onnxruntime = _onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    _share_memory()
    options.add_session_config_entry("session.use_env_allocators", "1")
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.add_free_dimension_override_by_name("n", 1)
    options.log_severity_level = 3  # errors; warnings name nodes that a provider leaves to the CPU
    providers: list[Any] = [(PROVIDERS[provider], _provider_options(provider, precision))]
    if provider != "cpu":
        providers.append(PROVIDERS["cpu"])
    if provider == "cuda":
        _find_libraries()
    try:
        # Without the fallback, which moves a session that fails to the CPU for good.
        session = onnxruntime.InferenceSession(
            path, options, providers=providers, enable_fallback=0
        )
    except Exception as error:
        raise WeightsError(
            f"{path} cannot be loaded on {provider}: {error}; "
            f"if it is damaged, run `onlooker models pull --force {card.name}`"
        ) from error
    if PROVIDERS[provider] not in session.get_providers():
        # A provider whose libraries are missing is left out, and that is only logged.
        raise WeightsError(
            f"{card.name} cannot run on {provider}: ONNX Runtime cannot use it here and printed "
            f"above what is missing; {NEEDS.get(provider, '')}"
            f'run `pip install "onlooker[{EXTRAS[provider]}]"`, or set runtime.provider to "cpu"'
        )
    return session


def _provider_options(provider: str, precision: str) -> dict[str, str]:
    if provider == "cpu":
        return {}
    if provider == "cuda":
        # By default kernels are timed to choose one, again for each image size, and multiply in
        # TF32, with which readers and meshes differ from their cards.
        return {"cudnn_conv_algo_search": "HEURISTIC", "use_tf32": "0"}
    settings = {
        "INFERENCE_NUM_THREADS": 1,
        "INFERENCE_PRECISION_HINT": {"fp32": "f32", "bf16": "bf16"}[precision],
        "PERFORMANCE_HINT": "LATENCY",
    }
    return {
        "device_type": "CPU",
        "num_of_threads": "1",
        "load_config": json.dumps({"CPU": settings}),
    }


def _in_bf16(card: Card, path: Path) -> Model | None:
    """Return the model in bf16 if `onlooker.models.precision` allows it on this machine."""
    if not (card.run.bfloat16 and precision.has_bfloat16() and "openvino" in available()):
        return None
    onnxruntime = _onnxruntime()
    runtime = f"{onnxruntime.__name__} {onnxruntime.__version__}"
    finding = precision.read(card, path, runtime)
    if finding is not None and not finding.sound:
        return None
    model = Model(card, "openvino", "bf16", _session(card, path, "openvino", "bf16"))
    if finding is None:
        exact = Model(card, "cpu", "fp32", _session(card, path, "cpu", "fp32"))
        images = self_test.batch(card)
        finding = precision.compare(card, model.outputs, exact(images), model(images))
        precision.keep(card, path, runtime, finding)
        logger.debug(
            "model=%s bf16=%s min_cosine=%.6f differences=%s",
            *(card.name, finding.sound, finding.min_cosine, finding.differences),
        )
    return model if finding.sound else None
