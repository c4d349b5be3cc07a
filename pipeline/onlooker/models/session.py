"""Inference sessions: ONNX Runtime with one thread, and a provider by fixed rules.

One session has one thread, since two sessions of two threads spin against each other; parallelism
comes from processes. The choice of the provider never depends on a measurement at run time, so that
the same machine gives the same records every time.
"""

import functools
import json
import logging
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from types import ModuleType
from typing import Any

from onlooker.models import fitness, heap, precision, self_test, weights
from onlooker.models.batches import Batches
from onlooker.models.buffers import Buffers, page_lock
from onlooker.models.card import Card, Characters, WeightsError
from onlooker.models.card import card as find_card
from onlooker.models.model import Model, OneByOne

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

ARENA_BYTES = 256 << 20
"""First block of the memory that sessions on the CPU provider share."""
MAX_KERNELS = 100
"""Kernels of each kind that a model on OpenVINO keeps: those of the last ten shapes or so. It
compiles its own for each input shape, 3 MB in all for a detector, and by default keeps 5000."""
MAX_LINE_KERNELS = 1000
"""The same for a recogniser: those of all lengths that `Model.length` has. Compiling them again and
again would double its time, and take no less memory."""


class LoadError(WeightsError):
    """A model's built file cannot be loaded."""


class ProviderError(WeightsError):
    """No model can run on the provider on this machine."""


def load(name: str, provider: str = "auto") -> Model:
    """Return the model called `name`, ready to run; its weights are built on first use.

    provider: "auto", "cpu", "openvino" or "cuda". Raises WeightsError if the model or the provider
    is not available.
    """
    card = find_card(name)
    path = weights.path(name)
    chosen = choose(card, provider)
    if chosen == "cuda":
        model = _on_card(card, path)
    else:
        rounded = _in_bf16(card, path) if provider in ("auto", "openvino") else None
        model = rounded or _one_by_one(card, path, chosen, "fp32")
    logger.debug("model=%s provider=%s precision=%s", name, model.provider, model.precision)
    return model


def available() -> tuple[str, ...]:
    """Return the names of the providers that the installed ONNX Runtime has."""
    installed = _onnxruntime().get_available_providers()
    return tuple(name for name, provider in PROVIDERS.items() if provider in installed)


def choose(card: Card, wanted: str) -> str:
    """Return the provider that runs the card's model in fp32; `wanted` is "auto" or a provider.

    "openvino" is "auto" that insists on OpenVINO: a model that the card leaves to the CPU would be
    slower or wrong there, and keep more memory. Raises WeightsError if the provider that is wanted
    is not available.
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
    return card.run.provider if wanted == "openvino" else wanted


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
    """Let all sessions share one arena: otherwise each keeps the memory of its largest image.

    It begins with a block for most runs, whose pages take no memory before they are used. The many
    blocks of a growing arena are used less well: it would hold a fifth more.
    """
    onnxruntime = _onnxruntime()
    kind = onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR
    place = onnxruntime.OrtMemoryInfo("Cpu", kind, 0, onnxruntime.OrtMemType.DEFAULT)
    arena = onnxruntime.OrtArenaCfg({"initial_chunk_size_bytes": ARENA_BYTES})
    onnxruntime.create_and_register_allocator(place, arena)


@functools.cache
def _find_libraries() -> None:
    """Load CUDA and cuDNN from NVIDIA's packages, which the extra brings, or from the system."""
    with redirect_stdout(sys.stderr):  # it prints the name of each that is missing
        _onnxruntime().preload_dlls(directory="")


def _one_by_one(card: Card, path: Path, provider: str, precision: str) -> Model:
    session = _session(card, path, provider, precision)
    return Model(card, provider, precision, OneByOne(session))


def _session(card: Card, path: Path, provider: str, precision: str, **sizes: int) -> Any:
    """Return a session. sizes: of the input's free dimensions n (1 by default), height, width."""
    onnxruntime = _onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    heap.return_large_blocks()
    _share_memory()
    options.add_session_config_entry("session.use_env_allocators", "1")
    # A pattern is one block of memory for a whole run, and there would be one for each input shape;
    # on a card a session has only one.
    options.enable_mem_pattern = provider == "cuda"
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    for name, size in {"n": 1, **sizes}.items():
        options.add_free_dimension_override_by_name(name, size)
    options.log_severity_level = 3  # errors; warnings name nodes that a provider leaves to the CPU
    providers: list[Any] = [(PROVIDERS[provider], _provider_options(card, provider, precision))]
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
        raise LoadError(
            f"{path} cannot be loaded on {provider}: {error}; "
            f"if it is damaged, run `onlooker models pull --force {card.name}`"
        ) from error
    if PROVIDERS[provider] not in session.get_providers():
        # A provider whose libraries are missing is left out, and that is only logged.
        raise ProviderError(
            f"{card.name} cannot run on {provider}: ONNX Runtime cannot use it here and printed "
            f"above what is missing; {NEEDS.get(provider, '')}"
            f'run `pip install "onlooker[{EXTRAS[provider]}]"`, or set runtime.provider to "cpu"'
        )
    outputs = {each.name: tuple(each.shape) for each in session.get_outputs()}
    fitness.check(card, outputs, session.get_modelmeta().custom_metadata_map)
    return session


def _provider_options(card: Card, provider: str, precision: str) -> dict[str, str]:
    if provider == "cpu":
        return {}
    if provider == "cuda":
        # By default kernels are timed to choose one, which takes seconds for each shape.
        tf32 = str(int(precision == "tf32"))
        return {
            "cudnn_conv_algo_search": "HEURISTIC",
            "use_tf32": tf32,
            "arena_extend_strategy": "kSameAsRequested",
        }
    kernels = MAX_LINE_KERNELS if isinstance(card.decode, Characters) else MAX_KERNELS
    settings = {
        "INFERENCE_NUM_THREADS": 1,
        "INFERENCE_PRECISION_HINT": {"fp32": "f32", "bf16": "bf16"}[precision],
        "PERFORMANCE_HINT": "LATENCY",
        "CPU_RUNTIME_CACHE_CAPACITY": str(kernels),
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
    return _rounded(card, path, "bf16", lambda: _one_by_one(card, path, "openvino", "bf16"))


def _on_card(card: Card, path: Path) -> Model:
    """Return the model on CUDA, in TF32 if `onlooker.models.precision` allows it."""

    def batched(precision: str) -> Model:
        def make(batch: int, height: int, width: int) -> Any:
            return _session(card, path, "cuda", precision, n=batch, height=height, width=width)

        width, height = card.probe.size
        return Model(card, "cuda", precision, Batches(make, _page_locked(), (height, width)))

    model = _rounded(card, path, "tf32", lambda: batched("tf32")) or batched("fp32")
    if all(card.shape):
        model.prepare([card.shape])
    return model


@functools.cache
def _page_locked() -> Buffers:
    """Return the memory that all models on the card share."""
    return Buffers(page_lock)


def _rounded(card: Card, path: Path, kind: str, make: Callable[[], Model]) -> Model | None:
    """Return the model that `make` returns if its outputs in the precision `kind` are sound."""
    onnxruntime = _onnxruntime()
    runtime = f"{onnxruntime.__name__} {onnxruntime.__version__}"
    finding = precision.read(card, path, runtime, kind)
    if finding is not None and not finding.sound:
        return None
    model = make()
    if finding is None:
        exact = _one_by_one(card, path, "cpu", "fp32")
        images = self_test.batch(card)
        finding = precision.compare(card, model.outputs, exact(images), model(images))
        precision.keep(card, path, runtime, kind, finding)
        logger.debug(
            "model=%s %s=%s min_cosine=%.6f differences=%s",
            *(card.name, kind, finding.sound, finding.min_cosine, finding.differences),
        )
    return model if finding.sound else None
