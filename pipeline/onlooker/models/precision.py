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
import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from onlooker import durable_file
from onlooker.models import self_test, weights
from onlooker.models.card import Card, Characters

MIN_COSINE = 0.999
"""Minimum cosine between each output in the lower precision and in fp32."""
MAX_DIFFERENCE, MAX_MEAN_DIFFERENCE = 0.05, 0.005
"""Allowed difference of the probabilities of a recogniser's columns, in any one and in the mean. In
bf16 (AMX) it is 0.010 and 0.0005 on the probe of words. One layer of which an eighth of the weights
are zero, or the rows are moved on by one, makes it more in 113 of 122 cases."""
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
    a small part of an output can be wrong although the whole still points the same way. Those of a
    recogniser must make the same reading of probabilities that are nearly the same.
    """
    if isinstance(card.decode, Characters):
        pairs = [_probabilities(exact, rounded)]
        differences = _share_differences(*pairs[0])
        if _reading(exact) != _reading(rounded):
            differences.append("the probe is read otherwise")
    else:
        pairs = list(zip(exact, rounded, strict=True))
        expected = replace(card.probe, expect=tuple(self_test.measure(names, exact)))
        found = self_test.measure(names, rounded)
        differences = self_test.differences(expected, found, self_test.ROUNDED_TOLERANCE)
    min_cosine = min(self_test.cosine(*pair) for pair in pairs)
    if min_cosine < MIN_COSINE:
        differences.append(f"an output has a cosine of {min_cosine:.5f}")
    return Finding(not differences, min_cosine, tuple(differences))


def _probabilities(
    exact: Sequence[NDArray[Any]], rounded: Sequence[NDArray[Any]]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the probabilities (columns, 1 + classes) in two runs of a recogniser.

    First the space, then the classes that one of the runs names, in ascending order. So a class
    that is another one counts as much as it is likely, and unlikely ones, which change their ranks,
    do not count.
    """
    runs = exact, rounded
    classes = np.unique([idx for idx, _, _ in runs])
    found = []
    for idx, prob, space in runs:
        ranks = idx.shape[-1]
        shares = np.zeros((space.size, 1 + len(classes)))
        shares[:, 0] = space.ravel()
        columns = np.arange(space.size)[:, None]
        # Ranks that are not used are all of class 0, with a probability of 0.
        np.add.at(
            shares,
            (columns, 1 + np.searchsorted(classes, idx.reshape(-1, ranks))),
            prob.reshape(-1, ranks),
        )
        found.append(shares)
    return found[0], found[1]


def _share_differences(exact: NDArray[np.float64], rounded: NDArray[np.float64]) -> list[str]:
    """Return, in words, the differences between the `_probabilities` of two runs."""
    by_column = np.abs(rounded - exact).max(1)
    found = [
        ("at most", by_column.max(), MAX_DIFFERENCE),
        ("on average", by_column.mean(), MAX_MEAN_DIFFERENCE),
    ]
    # Written so that a NaN is a difference.
    return [
        f"the probabilities of a column differ by {difference:.3f} {how}"
        for how, difference, allowed in found
        if not difference <= allowed
    ]


def _reading(outputs: Sequence[NDArray[Any]]) -> list[int]:
    """Return the classes of the characters that a recogniser reads."""
    best = outputs[0][..., 0].ravel()
    found: list[int] = best[(np.diff(best, prepend=0) != 0) & (best != 0)].tolist()
    return found


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
        self_test.ROUNDED_TOLERANCE,
        MIN_COSINE,
        MAX_DIFFERENCE,
        MAX_MEAN_DIFFERENCE,
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
