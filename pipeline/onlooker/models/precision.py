"""Lower precisions: whether a model may run in bf16 (OpenVINO) or in TF32 (CUDA) on this machine.

It may only if its outputs for the card's probe are those of fp32, and in bf16 only if that is fast
here. The finding is kept beside the built file, for this processor and this runtime, so that a
process does not load and run each model twice at its start.
"""

import functools
import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace
from numpy.typing import NDArray

from onlooker import durable_file
from onlooker.models import self_test, weights
from onlooker.models.card import Card

MIN_COSINE = 0.999
"""Minimum cosine between each output in the lower precision and in fp32."""
CPUINFO = Path("/proc/cpuinfo")

logger = logging.getLogger(__name__)


class Finding(msgspec.Struct, frozen=True):
    """The result of the comparison, as it is kept."""

    sound: bool
    """The model may run in the lower precision."""
    min_cosine: float
    differences: tuple[str, ...]


@functools.cache
def has_bfloat16(cpuinfo: Path = CPUINFO) -> bool:
    """Return whether the processor multiplies bf16 in hardware (AMX or AVX-512 BF16)."""
    flags = _processor(cpuinfo).get("flags", "").split()
    return "amx_bf16" in flags or "avx512_bf16" in flags


def compare(
    card: Card,
    names: Sequence[str],
    exact: Sequence[NDArray[Any]],
    rounded: Sequence[NDArray[Any]],
) -> Finding:
    """Compare a model's outputs, called `names`, for its card's probe: fp32 and rounded.

    The rounded ones must be free of NaN, nearly parallel to the fp32 ones, and have their figures:
    a small part of an output can be wrong although the whole still points the same way.
    """
    cosines = [self_test.cosine(*pair) for pair in zip(exact, rounded, strict=True)]
    expected = replace(card.probe, expect=tuple(self_test.measure(names, exact)))
    found = self_test.measure(names, rounded)
    differences = self_test.differences(expected, found, self_test.TOLERANCES["bf16"])
    sound = min(cosines) >= MIN_COSINE and not differences
    return Finding(sound, min(cosines), tuple(differences))


def read(card: Card, built: Path, runtime: str, kind: str) -> Finding | None:
    """Return the finding about the built file on this machine; None if it is to be made.

    runtime: name and version of the library that runs the model. kind: "bf16" or "tf32".
    """
    try:
        return msgspec.json.decode(_file(card, built, runtime, kind).read_bytes(), type=Finding)
    except (OSError, msgspec.MsgspecError):
        return None


def keep(card: Card, built: Path, runtime: str, kind: str, finding: Finding) -> None:
    """Keep the finding beside the built file, if the folder can be written."""
    file = _file(card, built, runtime, kind)
    try:
        if file.parent != built.parent:
            file.parent.mkdir(parents=True, exist_ok=True)
        durable_file.write(file, msgspec.json.encode(finding))
    except OSError as error:
        logger.debug("finding not kept model=%s error=%s", card.name, error)


def _file(card: Card, built: Path, runtime: str, kind: str) -> Path:
    """Return the finding's file: one for each processor, runtime and way to compare.

    It is beside the built file, or in the user's folder if that one was installed.
    """
    processor = _processor(CPUINFO)
    parts = [
        processor.get("model name", ""),
        processor.get("flags", ""),
        runtime,
        card.probe,
        self_test.TOLERANCES,
        MIN_COSINE,
    ]
    digest = hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:12]
    installed = built.parent == weights.installed_folder()
    place = weights.folder() if installed else built.parent
    return place / f"{built.stem}-{kind}-{digest}.json"


@functools.cache
def _processor(cpuinfo: Path) -> dict[str, str]:
    """Return the fields of the first processor; none if there is no such file, as on macOS."""
    try:
        text = cpuinfo.read_text(encoding="ascii", errors="replace")
    except FileNotFoundError:
        return {}
    first, _, _ = text.partition("\n\n")
    pairs = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}
