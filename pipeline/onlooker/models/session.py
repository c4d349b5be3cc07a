"""The one way to make an inference session: ONNX Runtime, one thread, a provider by rule.

One session has one thread, since two sessions of two threads spin against each other; parallelism
comes from processes. Which provider runs a model never depends on a measurement made at run time,
so that the same machine gives the same records every time.
"""

import functools
import json
import logging
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from onlooker.models import self_test, weights
from onlooker.models.card import Card, WeightsError

logger = logging.getLogger(__name__)

PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "cuda": "CUDAExecutionProvider",
}
EXTRAS = {"cpu": "cpu", "openvino": "openvino", "cuda": "gpu"}
"""Which extra of the package brings a provider."""
NEEDS = {"cuda": "`nvidia-smi` must show a card; for the libraries "}
"""What a provider asks for beside its extra, as an error says it."""

MOST_SHAPES = 40
"""Shapes of input for which a model on CUDA keeps a session each."""

NEAR = 0.999
"""Least cosine between the outputs in bf16 and in fp32."""


class Model:
    """A loaded model; calling it runs it. Not to be used from two threads at once.

    The pictures of a batch run one by one: a batch fixed at 1 makes OpenVINO x1.6 faster than a
    free one (MobileFaceNet, mesh), and lets no result depend on what else was in the picture.

    name, card: what it is. provider: "cpu", "openvino" or "cuda". precision: "fp32" or "bf16".
    outputs: the outputs' names, in the graph's order. metadata: the file's own remarks.
    calls, seconds: how often it ran so far, and how long that took.
    """

    _all_seconds: ClassVar[float] = 0.0

    def __init__(self, card: Card, provider: str, precision: str, session: Any) -> None:
        self.name = card.name
        self.card = card
        self.provider = provider
        self.precision = precision
        self.outputs: tuple[str, ...] = tuple(each.name for each in session.get_outputs())
        self.metadata: Mapping[str, str] = session.get_modelmeta().custom_metadata_map
        self.calls = 0
        self.seconds = 0.0
        [taken] = session.get_inputs()
        self._input = taken.name
        self._session = session

    def __call__(self, pictures: NDArray[np.uint8]) -> list[NDArray[Any]]:
        """The graph's outputs, in its order, for pictures (n, height, width, 3), BGR."""
        began = time.perf_counter()
        size = len(pictures)
        if size == 0:
            raise ValueError(f"{self.name}: the batch has no pictures")
        if size > 1:
            runs = [self._run(pictures[at : at + 1]) for at in range(size)]
            outputs = [np.concatenate(each) for each in zip(*runs, strict=True)]
        else:
            outputs = self._run(pictures)
        took = time.perf_counter() - began
        self.seconds += took
        Model._all_seconds += took
        self.calls += 1
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

    def length(self, least: int) -> int:
        """How long to make an input that may have any length from `least` on.

        On CUDA, where each shape is costly at first, there are only four steps from one power of
        two to the next.
        """
        step = self.card.multiple
        if self.provider == "cuda":
            step = max(step, 1 << max(0, least.bit_length() - 3))
        return -(-least // step) * step

    def _run(self, picture: NDArray[np.uint8]) -> list[NDArray[Any]]:
        outputs: list[NDArray[Any]] = self._session.run(None, {self._input: picture})
        return outputs


def _stacked(images: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    return images[0][None] if len(images) == 1 else np.stack(images)


class _Shapes:
    """A session for each shape of input.

    On CUDA a session that sees another shape than the time before plans all of its convolutions
    anew, which took 720 ms where running them took 2.7 (the reader, on an H200).
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        unused = [make()]
        self._inputs, self._outputs = unused[0].get_inputs(), unused[0].get_outputs()
        self._metadata = unused[0].get_modelmeta()
        self._of = functools.lru_cache(MOST_SHAPES)(
            lambda shape: unused.pop() if unused else make()
        )

    def get_inputs(self) -> Any:
        return self._inputs

    def get_outputs(self) -> Any:
        return self._outputs

    def get_modelmeta(self) -> Any:
        return self._metadata

    def run(self, outputs: None, feeds: Mapping[str, NDArray[Any]]) -> Any:
        [picture] = feeds.values()
        return self._of(picture.shape).run(outputs, feeds)


def load(name: str, provider: str = "auto") -> Model:
    """The model called `name`, ready to run; its weights are pulled on first use.

    provider is "auto", "cpu", "openvino" or "cuda". Raises WeightsError where the model or the
    provider cannot be had.
    """
    card = weights.card(name)
    path = weights.path(name)
    chosen = choose(card, provider)
    model = _in_bf16(card, path) if provider in ("auto", "openvino") else None
    if model is None:
        make = functools.partial(_session, card, path, chosen, "fp32")
        model = Model(card, chosen, "fp32", _Shapes(make) if chosen == "cuda" else make())
    logger.debug("model=%s provider=%s precision=%s", name, model.provider, model.precision)
    return model


def seconds() -> float:
    """How long all models of this process have run so far."""
    return Model._all_seconds


def available() -> tuple[str, ...]:
    """Which providers the installed ONNX Runtime has."""
    installed = _onnxruntime().get_available_providers()
    return tuple(name for name, provider in PROVIDERS.items() if provider in installed)


@functools.cache
def has_bfloat16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the processor multiplies bf16 in hardware (AMX or AVX-512 BF16)."""
    try:
        text = cpuinfo.read_text(encoding="ascii", errors="replace")
    except FileNotFoundError:
        return False  # not Linux
    flags = next((line for line in text.splitlines() if line.startswith("flags")), "").split()
    return "amx_bf16" in flags or "avx512_bf16" in flags


def choose(card: Card, wanted: str) -> str:
    """The provider that runs the card's model in fp32, where "auto" or a provider is wanted."""
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
    """Give all sessions one arena: each would keep what its largest picture needed for ever."""
    onnxruntime = _onnxruntime()
    kind = onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR
    place = onnxruntime.OrtMemoryInfo("Cpu", kind, 0, onnxruntime.OrtMemType.DEFAULT)
    onnxruntime.create_and_register_allocator(place, None)


@functools.cache
def _find_libraries() -> None:
    """Load CUDA and cuDNN from NVIDIA's packages, which the extra brings, or from the system."""
    with redirect_stdout(sys.stderr):  # on which it tells of each that is missing
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
    options.log_severity_level = 3  # errors; warnings are about nodes that a provider leaves to CPU
    providers: list[Any] = [(PROVIDERS[provider], _provider_options(provider, precision))]
    if provider != "cpu":
        providers.append(PROVIDERS["cpu"])
    if provider == "cuda":
        _find_libraries()
    try:
        # Without the fallback, by which a session that fails goes over to the processor for good.
        session = onnxruntime.InferenceSession(
            path, options, providers=providers, enable_fallback=0
        )
    except Exception as error:
        raise WeightsError(
            f"{path} cannot be loaded on {provider}: {error}; "
            f"if it is damaged, run `onlooker models pull --force {card.name}`"
        ) from error
    if PROVIDERS[provider] not in session.get_providers():
        # What misses a library is left out, and only logged.
        raise WeightsError(
            f"{card.name} cannot run on {provider}: ONNX Runtime cannot use it here, and said "
            f"above what it misses; {NEEDS.get(provider, '')}"
            f'run `pip install "onlooker[{EXTRAS[provider]}]"`, or set runtime.provider to "cpu"'
        )
    return session


def _provider_options(provider: str, precision: str) -> dict[str, str]:
    if provider == "cpu":
        return {}
    if provider == "cuda":
        # By default kernels are timed to choose one, for each size of picture anew, and multiply
        # in TF32, with which readers and meshes no longer say what their cards promise.
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
    """The model in bf16, where that is fast and says what fp32 says of the card's probe.

    The outputs must be free of NaN, nearly parallel, and have the figures that a card would hold of
    the fp32 ones: a small part of an output can be wrong where the whole still points the same way.
    """
    if not (card.run.bfloat16 and has_bfloat16() and "openvino" in available()):
        return None
    model = Model(card, "openvino", "bf16", _session(card, path, "openvino", "bf16"))
    exact = Model(card, "cpu", "fp32", _session(card, path, "cpu", "fp32"))
    picture = self_test.batch(card)
    wanted, got = exact(picture), model(picture)
    cosines = [self_test.cosine(*pair) for pair in zip(wanted, got, strict=True)]
    expected = replace(card.probe, expect=tuple(self_test.measure(exact.outputs, wanted)))
    found = self_test.measure(model.outputs, got)
    unlike = self_test.differences(expected, found, self_test.TOLERANCES["bf16"])
    sound = min(cosines) >= NEAR and not unlike
    logger.debug(
        "model=%s bf16=%s least_cosine=%.6f unlike=%s", card.name, sound, min(cosines), unlike
    )
    return model if sound else None
