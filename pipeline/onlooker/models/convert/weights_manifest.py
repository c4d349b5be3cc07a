"""TensorFlow.js weights manifests: tensors end to end in one file, some of them quantised."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onlooker.models.card import WeightsError

TYPES: dict[str, type[np.generic]] = {
    "float32": np.float32,
    "float16": np.float16,
    "int32": np.int32,
    "uint8": np.uint8,
}


def read(manifest: Iterable[Mapping[str, Any]], data: bytes) -> dict[str, NDArray[Any]]:
    """Return the tensors by name, as float32 or int32 as the manifest says.

    manifest: the file's list of groups. data: all groups one after the other. Raises WeightsError
    if it has another length.
    """
    tensors: dict[str, NDArray[Any]] = {}
    at = 0
    for entry in (entry for group in manifest for entry in group["weights"]):
        stored = entry.get("quantization", entry)
        values = np.frombuffer(data, TYPES[stored["dtype"]], int(np.prod(entry["shape"])), at)
        at += values.nbytes
        if stored["dtype"] == "uint8":
            values = values.astype(np.float32) * stored["scale"] + stored["min"]
        tensors[entry["name"]] = values.astype(TYPES[entry["dtype"]]).reshape(entry["shape"])
    if at != len(data):
        raise WeightsError(f"the weights manifest describes {at} bytes, its file has {len(data)}")
    return tensors
