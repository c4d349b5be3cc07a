"""Our own heads on a pretrained network: one more layer in its graph."""

import numpy as np
import onnx
from onnx import helper, numpy_helper

from onlooker.models import own_weights
from onlooker.models.card import Attributes, Card, WeightsError

ROWS = "rows"
"""The features that the heads take: (n, rows * channels), the mean over each row of the map.

Eyes, nose and chin are in different rows of an upright face, while its left and right are alike.
"""


def heads(model: onnx.ModelProto, card: Card) -> None:
    """Add the output "heads": log-odds, linear in ROWS. Of the other outputs only the age stays.

    The weights are (rows * channels, heads) and (heads,), in the file that the card names. Raises
    WeightsError if that has another sha256.
    """
    own = card.build.heads
    if own is None or not isinstance(card.decode, Attributes):
        raise WeightsError(f"{card.name}: the edit heads needs build.heads, and decode.heads")
    arrays = own_weights.read(own)
    weights, offsets = (arrays[name].astype(np.float32) for name in ("weights", "offsets"))
    graph = model.graph
    pool = next(node for node in reversed(graph.node) if node.op_type == "ReduceMean")
    columns = helper.make_node("ReduceMean", [pool.input[0]], ["row_means"], axes=[2], keepdims=0)
    flat = helper.make_node("Flatten", ["row_means"], [ROWS])
    layer = helper.make_node("Gemm", [ROWS, "heads_weights", "heads_offsets"], ["heads"])
    graph.node.extend([columns, flat, layer])
    graph.initializer.append(numpy_helper.from_array(weights, "heads_weights"))
    graph.initializer.append(numpy_helper.from_array(offsets, "heads_offsets"))
    kept = [output for output in graph.output if output.name == card.decode.age]
    del graph.output[:]
    shape = [None, len(offsets)]
    graph.output.extend(
        [*kept, helper.make_tensor_value_info("heads", onnx.TensorProto.FLOAT, shape)]
    )
