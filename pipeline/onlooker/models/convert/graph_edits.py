"""Changes to finished graphs."""

from collections.abc import Callable, Container, Iterator, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from onlooker.models.card import Card, WeightsError

TINY = np.finfo(np.float32).tiny
"""Smallest normal float32."""


def zero_denormals(model: onnx.ModelProto) -> None:
    """Set weights that are too small for a normal float32 to zero.

    They contribute nothing to a result, and each one costs the processor a microcode assist: with
    its 255,958 the text detector takes three times as long.
    """
    for tensor in _float_tensors(model):
        values = numpy_helper.to_array(tensor)
        denormal = (values != 0) & (np.abs(values) < TINY)
        if denormal.any():
            kept = np.where(denormal, np.float32(0), values)
            tensor.CopyFrom(numpy_helper.from_array(kept, tensor.name))


def free_unknown_sizes(model: onnx.ModelProto) -> None:
    """Make sizes below 1 free ones: some exporters write -1 or 0 for a size they leave open."""
    graph = model.graph
    for value in (*graph.input, *graph.output, *graph.value_info):
        for size in value.type.tensor_type.shape.dim:
            if size.HasField("dim_value") and size.dim_value < 1:
                size.ClearField("dim_value")


def name_sizes(model: onnx.ModelProto) -> None:
    """Name the free sizes of the images: `onlooker.models.session` fixes them by these names."""
    [picture] = model.graph.input
    sizes = picture.type.tensor_type.shape.dim[:3]
    for place, name in zip(sizes, ("n", "height", "width"), strict=True):
        if not place.HasField("dim_value"):
            place.dim_param = name


def take_images(model: onnx.ModelProto, card: Card) -> None:
    """Let the model take images as they are: bytes, (n, height, width, 3), BGR.

    The card's colours, mean, scale and layout become its first operators. A quarter of the bytes is
    copied, and no caller needs to know them; a stream's frame takes as long as with floats made by
    a loop in C.
    """
    graph = model.graph
    if len(graph.input) != 1:
        names = ", ".join(each.name for each in graph.input)
        raise WeightsError(
            f"{card.name}: the graph takes {names}, not one image; if some are weights, "
            'add "own_weights" to build.edits of its card'
        )
    [old] = graph.input
    sizes = list(old.type.tensor_type.shape.dim)
    _check_input(card, old)
    if card.layout == "NCHW":
        batch, channels, height, width = sizes
        sizes = [batch, height, width, channels]
    picture = helper.make_tensor_value_info("picture", TensorProto.UINT8, [None] * 4)
    for place, size in zip(picture.type.tensor_type.shape.dim, sizes, strict=True):
        place.CopyFrom(size)

    nodes: list[onnx.NodeProto] = []

    def then(operator: str, constant: NDArray[np.generic] | None = None, **attributes: Any) -> None:
        name = f"picture_{len(nodes)}"
        inputs = [nodes[-1].output[0] if nodes else picture.name]
        if constant is not None:
            inputs.append(f"{name}_constant")
            graph.initializer.append(numpy_helper.from_array(constant, inputs[1]))
        nodes.append(helper.make_node(operator, inputs, [name], name=name, **attributes))

    # Between two transposes if the layout is NHWC: they vanish when the graph is optimised, and
    # whole planes are swapped much faster than the bytes of each pixel.
    then("Transpose", perm=(0, 3, 1, 2))
    if card.colour == "RGB":
        then("Gather", np.array([2, 1, 0]), axis=1)
    then("Cast", to=TensorProto.FLOAT)
    mean, scale = (np.array(each, np.float32).reshape(3, 1, 1) for each in (card.mean, card.scale))
    if mean.any():
        then("Sub", mean)
    if (scale != 1).any():
        then("Mul", scale)
    if card.layout == "NHWC":
        then("Transpose", perm=(0, 2, 3, 1))
    nodes[-1].output[0] = old.name
    graph.input[0].CopyFrom(picture)
    after = list(graph.node)
    del graph.node[:]
    graph.node.extend([*nodes, *after])


def _check_input(card: Card, given: onnx.ValueInfoProto) -> None:
    """Raise WeightsError unless the network's input is the one that the card describes."""
    tensor = given.type.tensor_type
    if tensor.elem_type != TensorProto.FLOAT:
        found = TensorProto.DataType.Name(tensor.elem_type)
        raise WeightsError(f"{card.name}: the graph takes {found} as {given.name}, not FLOAT")
    sides = [side or None for side in card.shape]
    wanted = [None, *sides, 3] if card.layout == "NHWC" else [None, 3, *sides]
    sizes = [side.dim_value or None for side in tensor.shape.dim]
    fits = len(sizes) == len(wanted) and sizes[0] in (None, 1)
    if not fits or any(
        size not in (None, want) for size, want in zip(sizes[1:], wanted[1:], strict=True)
    ):
        raise WeightsError(
            f"{card.name}: the graph takes {given.name} of shape {_shown(sizes)}, and shape and "
            f"layout of its card make that {_shown(wanted)}; correct the card, or let the graph "
            'take any size with the edit "free_size"'
        )


def _shown(shape: Sequence[int | None]) -> str:
    return f"({', '.join('any' if side is None else str(side) for side in shape)})"


def count_denormals(data: bytes) -> int:
    """Return the number of denormal weights in an ONNX file."""
    model = onnx.load_model_from_string(data)
    arrays = (numpy_helper.to_array(tensor) for tensor in _float_tensors(model))
    return sum(int(((array != 0) & (np.abs(array) < TINY)).sum()) for array in arrays)


def free_size(model: onnx.ModelProto, card: Card) -> None:
    """Let a model that was exported for one image of one size take any number of any size.

    The sizes of its outputs then depend on the image: the second one of (n, cells, k), as of a
    detector's cells or a recogniser's columns, and the last two of a map (n, k, rows, columns).
    """
    sizes = model.graph.input[0].type.tensor_type.shape.dim
    if len(sizes) != 4:
        raise WeightsError(f"{card.name}: the edit `free_size` needs an input of images, 4 sizes")
    height, width = sizes[2:] if card.layout == "NCHW" else sizes[1:3]
    sizes[0].dim_param, height.dim_param, width.dim_param = "n", "height", "width"
    for output in model.graph.output:
        sizes = output.type.tensor_type.shape.dim
        if sizes:
            sizes[0].dim_param = "n"
        if len(sizes) == 3:
            sizes[1].dim_param = f"cells_{output.name}"
        elif len(sizes) == 4:
            sizes[2].dim_param, sizes[3].dim_param = f"rows_{output.name}", f"columns_{output.name}"
    weights = _weights(model.graph)
    for node in model.graph.node:
        shape = weights.get(node.input[1]) if node.op_type == "Reshape" else None
        if shape is not None and (sizes := numpy_helper.to_array(shape))[0] == 1:
            # 0 means the batch of the operator's input.
            shape.CopyFrom(numpy_helper.from_array(np.array([0, *sizes[1:]]), shape.name))
    # Sizes of inner values, for the old input size.
    del model.graph.value_info[:]


def own_weights(model: onnx.ModelProto, card: Card) -> None:
    """Remove the weights from the graph's inputs, among which old exporters listed them too.

    A value that a caller may replace at every run cannot be folded into other operators.
    """
    own = {tensor.name for tensor in model.graph.initializer}
    inputs = [each for each in model.graph.input if each.name not in own]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    model.ir_version = max(4, model.ir_version)  # before it, each weight had to be an input


BLOCK = 16
"""Channels that ONNX Runtime processes together, at most: it pads other numbers to a multiple."""
CHANNELWISE = ("Identity", "Add", "Mul", "Div", "Erf")
"""Operators between two convolutions that treat every channel alike."""


def drop_unused(model: onnx.ModelProto, card: Card) -> None:
    """Remove the channels that no later weight uses.

    Weight decay has zeroed nearly half of the channels in the text detector's last two blocks: the
    1 x 1 convolution after them has zeros for them, so the outputs do not change without them.
    """
    # Such weights are so small that they are denormal, not zero.
    zero_denormals(model)
    graph = model.graph
    tensors = _weights(graph)
    for conv in graph.node:
        if not _mixes_channels(conv) or conv.input[1] not in tensors:
            continue
        weights = numpy_helper.to_array(tensors[conv.input[1]])
        used = np.abs(weights).max(axis=(0, 2, 3)) > 0
        missing = -int(used.sum()) % BLOCK
        used[np.flatnonzero(~used)[:missing]] = True
        if used.all():
            continue
        before, between = _channel_source(graph, conv, tensors)
        if before is None:
            continue
        _keep(tensors[conv.input[1]], 1, used)
        _keep(tensors[before.input[1]], 0, used)
        for name in {name for node in between for name in node.input if name in tensors}:
            if tensors[name].dims[1:2] == [len(used)]:
                _keep(tensors[name], 1, used)
    # Sizes of inner values, for all channels.
    del graph.value_info[:]


def _channel_source(
    graph: onnx.GraphProto, conv: onnx.NodeProto, weights: Container[str]
) -> tuple[onnx.NodeProto | None, list[onnx.NodeProto]]:
    """Return the convolution whose output reaches `conv` by channelwise operators, and those.

    None if there is none, or if other operators use a value in between.
    """
    made_by = {output: node for node in graph.node for output in node.output}
    sources, between = [], []
    seen, todo = set(), [conv.input[0]]
    while todo:
        name = todo.pop()
        node = made_by.get(name)
        if name in seen or node is None or node.op_type == "Constant":  # a weight
            continue
        seen.add(name)
        if _mixes_channels(node):
            sources.append(node)
        elif node.op_type in CHANNELWISE:
            between.append(node)
            todo.extend(node.input)
        else:
            return None, []
    takers = [node for node in graph.node if seen.intersection(node.input)]
    plain = len(sources) == 1 and len(sources[0].input) == 2 and sources[0].input[1] in weights
    if not plain or any(node is not conv and node not in between for node in takers):
        return None, []
    return sources[0], between


def _mixes_channels(node: onnx.NodeProto) -> bool:
    groups = [attribute.i for attribute in node.attribute if attribute.name == "group"]
    return node.op_type == "Conv" and groups in ([], [1])


def _keep(tensor: onnx.TensorProto, axis: int, used: NDArray[np.bool_]) -> None:
    """Reduce `tensor` to the places along `axis` for which `used` is true."""
    kept = np.compress(used, numpy_helper.to_array(tensor), axis)
    tensor.CopyFrom(numpy_helper.from_array(kept, tensor.name))


def _latin(character: str) -> bool:
    """Latin, Greek and Cyrillic letters, digits, and the usual signs between them."""
    return len(character) == 1 and any(
        first <= ord(character) <= last
        for first, last in (
            (0x20, 0x24F),  # ASCII to Latin Extended-B
            (0x370, 0x52F),  # Greek, Cyrillic
            (0x1E00, 0x1EFF),  # Latin Extended Additional
            (0x2010, 0x203F),  # dashes, quotation marks, bullets
            (0x20A0, 0x20CF),  # currencies
        )
    )


RANKS, MIN_SHARE = 4, 1e-3
"""Classes of each column that a reader returns, at most, and their least probability. More, or less
likely ones, change next to no line (`onlooker.vision.letters`)."""

VOCABULARIES: dict[str, Callable[[str], bool]] = {"all": lambda character: True, "latin": _latin}


def ranked_with_space(model: onnx.ModelProto, card: Card) -> None:
    """Let a text reader return the best characters of each column, and how likely a space is.

    The graph ends in MatMul, Add, Softmax over an alphabet of thousands, which is a fifth of its
    time and 3 MB a line. The two weights are reduced to the characters of the card's vocabulary.
    The outputs are `idx` and `prob`, (n, columns, RANKS), the best classes in falling order and
    their probabilities among the remaining classes, and `space`, (n, columns), the probability of
    the space. A probability of less than MIN_SHARE is 0, and so is its class. The metadata
    `character` names the classes 1, 2, ... of the new alphabet, one a line; class 0 is CTC's blank,
    and the last one the space.
    """
    assert card.build.vocabulary is not None  # `Build` sees to it
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    if "character" not in metadata:
        raise WeightsError(
            f"{card.name}: the edit `ranked_with_space` needs the metadata `character` in the "
            "file, a recogniser's alphabet, one character a line; is it a recogniser, and did its "
            "exporter write that?"
        )
    # The file names the classes from 1 on; the last class, which it does not name, is the space.
    alphabet = [*metadata["character"].split("\n"), " "]
    wanted = VOCABULARIES[card.build.vocabulary]
    kept = [place for place, character in enumerate(alphabet) if wanted(character)]

    graph = model.graph
    softmax = graph.node[-1]
    if softmax.op_type != "Softmax":
        raise WeightsError(
            f"{card.name}: the graph ends in {softmax.op_type}, not in a recogniser's Softmax"
        )
    if len(kept) < len(alphabet):
        classes = [0, *(place + 1 for place in kept)]
        _cut_last_layer(graph, softmax.input[0], 1 + len(alphabet), classes)
    _answer_best(graph, softmax, len(kept))
    metadata["character"] = "\n".join(alphabet[place] for place in kept)
    helper.set_model_props(model, metadata)
    # Sizes of inner values, for the whole alphabet.
    del graph.value_info[:]


def _cut_last_layer(graph: onnx.GraphProto, logits: str, size: int, classes: list[int]) -> None:
    made_by = {output: node for node in graph.node for output in node.output}
    weights = _weights(graph)
    values, cut = [logits], 0
    while values:
        node = made_by.get(values.pop())
        if node is None or node.op_type not in ("Identity", "Add", "MatMul"):
            continue
        for name in node.input:
            if name in weights and weights[name].dims[-1] == size:
                array = numpy_helper.to_array(weights[name])[..., classes]
                weights[name].CopyFrom(numpy_helper.from_array(np.ascontiguousarray(array), name))
                cut += 1
            elif node.op_type != "MatMul":
                values.append(name)
    if cut != 2:
        raise WeightsError(
            f"{cut} weights before Softmax have {size} classes, which the alphabet makes (blank, "
            f"{size - 2} characters, space), not the 2 of a linear layer, MatMul and Add"
        )


def _answer_best(graph: onnx.GraphProto, softmax: onnx.NodeProto, space: int) -> None:
    shares = softmax.output[0]
    graph.node.extend(
        [
            helper.make_node("TopK", [shares, "ranks"], ["best", "classes"], axis=2),
            helper.make_node("Less", ["best", "min_share"], ["unlikely"]),
            helper.make_node("Where", ["unlikely", "no_class", "classes"], ["idx"]),
            helper.make_node("Where", ["unlikely", "no_share", "best"], ["prob"]),
            helper.make_node("Gather", [shares, "space_class"], ["space_share"], axis=2),
            helper.make_node("Less", ["space_share", "min_share"], ["no_space"]),
            helper.make_node("Where", ["no_space", "no_share", "space_share"], ["space"]),
        ]
    )
    ranks = min(RANKS, space + 1)
    constants: dict[str, NDArray[Any]] = {
        "space_class": np.array(space, np.int64),
        "ranks": np.array([ranks], np.int64),
        "min_share": np.array(MIN_SHARE, np.float32),
        "no_class": np.array(0, np.int64),
        "no_share": np.array(0, np.float32),
    }
    graph.initializer.extend(numpy_helper.from_array(each, n) for n, each in constants.items())
    del graph.output[:]
    graph.output.extend(
        helper.make_tensor_value_info(name, kind, ["n", "columns", *more])
        for name, kind, more in (
            ("idx", TensorProto.INT64, [ranks]),
            ("prob", TensorProto.FLOAT, [ranks]),
            ("space", TensorProto.FLOAT, []),
        )
    )


def _weights(graph: onnx.GraphProto) -> dict[str, onnx.TensorProto]:
    """Return the graph's constants by the names of their values.

    Most files have them as initializers; Paddle's exporter writes an operator for each.
    """
    constants = {
        node.output[0]: attribute.t
        for node in graph.node
        if node.op_type == "Constant"
        for attribute in node.attribute
        if attribute.name == "value"
    }
    return constants | {tensor.name: tensor for tensor in graph.initializer}


def _float_tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            yield tensor
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.name == "value" and attribute.t.data_type == TensorProto.FLOAT:
                yield attribute.t
