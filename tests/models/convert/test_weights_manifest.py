"""Tensors of a TensorFlow.js weights manifest."""

from typing import Any

import numpy as np
import pytest

from onlooker.models.card import WeightsError
from onlooker.models.convert import weights_manifest


def test_tensors_are_converted_to_32_bits() -> None:
    manifest: list[dict[str, Any]] = [
        {
            "weights": [
                {
                    "name": "bytes",
                    "shape": [2, 2],
                    "dtype": "float32",
                    "quantization": {"dtype": "uint8", "scale": 0.5, "min": -1},
                },
                {
                    "name": "halves",
                    "shape": [3],
                    "dtype": "float32",
                    "quantization": {"dtype": "float16"},
                },
            ]
        },
        {"weights": [{"name": "number", "shape": [], "dtype": "int32"}]},
    ]
    halves = np.array([0.5, -2, 7], np.float16)
    data = bytes([0, 1, 2, 255]) + halves.tobytes() + np.int32(-3).tobytes()
    tensors = weights_manifest.read(manifest, data)
    np.testing.assert_array_equal(tensors["bytes"], [[-1, -0.5], [0, 126.5]])
    np.testing.assert_array_equal(tensors["halves"], [0.5, -2, 7])
    assert tensors["number"] == -3
    assert tensors["bytes"].dtype == tensors["halves"].dtype == np.float32
    with pytest.raises(WeightsError, match="describes 14 bytes, its file has 15"):
        weights_manifest.read(manifest, data + b"x")
