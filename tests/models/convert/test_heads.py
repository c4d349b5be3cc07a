"""Our own heads on a pretrained trunk."""

import msgspec
import numpy as np
import onnx
import pytest
from onnx import helper
from tests.support.onnx_graphs import run

from onlooker.models.card import CARDS, WeightsError, card
from onlooker.models.convert import heads


def features(channels: int) -> onnx.ModelProto:
    """A map (n, 7, 7, channels), pooled as faceres does, with an age beside it."""
    shape: list[str | int | None] = ["n", 7, 7, channels]
    inputs = [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, shape)]
    outputs = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n", channels])
        for name in ("age_pred_Softmax", "global_pooling_Mean")
    ]
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["pooled"], axes=[1, 2], keepdims=0),
        helper.make_node("Identity", ["pooled"], ["global_pooling_Mean"]),
        helper.make_node("Softmax", ["pooled"], ["age_pred_Softmax"]),
    ]
    graph = helper.make_graph(nodes, "trunk", inputs, outputs)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_heads_are_linear_in_the_rows_of_the_map() -> None:
    faceres = card("faceres")
    assert faceres.build.heads is not None
    model = features(1024)
    heads.heads(model, faceres)
    assert [each.name for each in model.graph.output] == ["age_pred_Softmax", "heads"]
    onnx.checker.check_model(model)
    x = np.random.default_rng(3).uniform(0, 3, (2, 7, 7, 1024)).astype(np.float32)
    _, odds = run(model, x)
    with np.load(CARDS / faceres.build.heads.file) as own:
        rows = x.mean(2).reshape(2, -1)
        expected = rows @ own["weights"].astype(np.float32) + own["offsets"]
    np.testing.assert_allclose(odds, expected, rtol=1e-3, atol=1e-3)


def test_heads_of_another_file_are_refused() -> None:
    faceres = card("faceres")
    assert faceres.build.heads is not None
    other = msgspec.structs.replace(faceres.build.heads, sha256="0" * 64)
    wrong = msgspec.structs.replace(
        faceres, build=msgspec.structs.replace(faceres.build, heads=other)
    )
    with pytest.raises(WeightsError, match=r"the card has 0000.*if you trained it"):
        heads.heads(features(8), wrong)
    with pytest.raises(WeightsError, match=r"the edit heads needs build\.heads"):
        heads.heads(features(8), card("yunet"))
