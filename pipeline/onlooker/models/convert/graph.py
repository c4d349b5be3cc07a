"""A small builder of ONNX graphs: nodes, constants, and the model at the end."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
IR_VERSION = 8

Shape = Sequence[int | str | None]
"""Sizes; a free size has a name."""


class Graph:
    """Nodes and constants in the order in which they were added."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []

    def input(self, name: str, shape: Shape) -> str:
        """Add an input of float32."""
        self._inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
        return name

    def output(self, name: str, value: str, shape: Shape | None) -> None:
        """Make the value `value` an output called `name`."""
        self._nodes.append(helper.make_node("Identity", [value], [name], name=name))
        self._outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))

    def floats(self, values: Any) -> str:
        """Add a constant of float32."""
        return self._constant(np.asarray(values, np.float32))

    def integers(self, values: Any) -> str:
        """Add a constant of int64."""
        return self._constant(np.asarray(values, np.int64))

    def node(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Add a node; return the name of its first output."""
        name = f"{operator}_{len(self._nodes)}"
        outputs = [name, *([f"{name}_places"] if operator == "TopK" else [])]
        self._nodes.append(helper.make_node(operator, inputs, outputs, name=name, **attributes))
        return name

    def model(self, name: str) -> onnx.ModelProto:
        """Return the finished model, without constants that no node takes."""
        taken = {value for node in self._nodes for value in node.input}
        constants = [constant for constant in self._constants if constant.name in taken]
        graph = helper.make_graph(self._nodes, name, self._inputs, self._outputs, constants)
        opset = helper.make_opsetid("", OPSET)
        return helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION)

    def _constant(self, values: NDArray[Any]) -> str:
        name = f"constant_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name
