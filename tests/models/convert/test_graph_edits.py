"""Changes to finished graphs: the same outputs, or those that the card promises."""

from typing import Any

import msgspec
import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from tests.support.onnx_graphs import RNG, Floats, floats, run, with_constants

from onlooker.models.card import Build, Card, WeightsError, card
from onlooker.models.convert import graph_edits
from onlooker.models.convert.graph import Graph


def test_denormal_weights_are_zeroed_and_no_others() -> None:
    graph = Graph()
    tiny = np.finfo(np.float32).tiny
    weights = np.array([1, tiny, tiny / 2, -tiny / 4, 0, -tiny], np.float32)
    total = graph.node("Add", graph.input("x", [6]), graph.floats(weights))
    graph.output("y", total, [6])
    model = graph.model("small")
    assert graph_edits.count_denormals(model.SerializeToString()) == 2
    graph_edits.zero_denormals(model)
    assert graph_edits.count_denormals(model.SerializeToString()) == 0
    (kept,) = (numpy_helper.to_array(each) for each in model.graph.initializer)
    np.testing.assert_array_equal(kept, [1, tiny, 0, 0, 0, -tiny])


def reader(alphabet: str) -> tuple[onnx.ModelProto, Floats, Floats]:
    """A linear layer and a softmax over blank, alphabet and space; its weights and bias."""
    weights, bias = floats(5, len(alphabet) + 2), floats(len(alphabet) + 2)
    graph = Graph()
    product = graph.node("MatMul", graph.input("x", ["n", "columns", 5]), graph.floats(weights))
    logits = graph.node("Identity", graph.node("Add", product, graph.floats(bias)))
    graph.node("Softmax", logits, axis=2)
    graph.output("unused", logits, [])
    model = graph.model("reader")
    del model.graph.node[-1:], model.graph.output[:]  # the graph ends in the softmax
    helper.set_model_props(model, {"character": "\n".join(alphabet)})
    return model, weights, bias


def reader_card(vocabulary: Any) -> Card:
    build = Build(format="onnx", edits=("ranked_with_space",), vocabulary=vocabulary)
    return msgspec.structs.replace(card("ppocrv6_rec_small"), build=build)


@pytest.mark.parametrize(
    ("vocabulary", "kept", "characters"),
    [("latin", [0, 1, 3, 5], "a\né\n "), ("all", [0, 1, 2, 3, 4, 5], "a\n中\né\n♥\n ")],
)
@pytest.mark.parametrize("constants", [False, True])
def test_a_reader_returns_the_best_classes_of_the_vocabulary_and_the_space(
    vocabulary: str, kept: list[int], characters: str, constants: bool
) -> None:
    model, weights, bias = reader("a中é♥")
    model = with_constants(model) if constants else model
    graph_edits.ranked_with_space(model, reader_card(vocabulary))
    x = 5 * floats(2, 7, 5)
    index, probability, space = run(model, x)
    exponent = np.exp((x @ weights + bias)[..., kept])
    shares = exponent / exponent.sum(axis=2, keepdims=True)
    best = np.argsort(-shares, axis=2)[..., : graph_edits.RANKS]
    likely = np.take_along_axis(shares, best, axis=2) >= graph_edits.MIN_SHARE
    assert not likely.all()
    np.testing.assert_array_equal(index, np.where(likely, best, 0))
    expected = np.where(likely, np.take_along_axis(shares, best, axis=2), 0)
    np.testing.assert_allclose(probability, expected, rtol=1e-5)
    spaces = shares[..., -1]
    expected = np.where(spaces >= graph_edits.MIN_SHARE, spaces, 0)
    np.testing.assert_allclose(space, expected, rtol=1e-5)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert metadata["character"] == characters


def test_a_graph_that_is_not_a_reader_is_refused() -> None:
    graph = Graph()
    graph.output("y", graph.input("x", [1, 2, 3]), [1, 2, 3])
    model = graph.model("none")
    helper.set_model_props(model, {"character": "a"})
    with pytest.raises(WeightsError, match="ends in Identity, not in a recogniser's Softmax"):
        graph_edits.ranked_with_space(model, reader_card("latin"))
    model, _, _ = reader("ab")
    helper.set_model_props(model, {"character": "a\nb\n中"})
    with pytest.raises(WeightsError, match=r"0 weights .* have 5 classes, .*MatMul and Add"):
        graph_edits.ranked_with_space(model, reader_card("latin"))
    model, _, _ = reader("ab")
    helper.set_model_props(model, {})
    with pytest.raises(WeightsError, match=r"needs the metadata `character`.*is it a recogniser"):
        graph_edits.ranked_with_space(model, reader_card("latin"))
    with pytest.raises(ValueError, match="needs the key `vocabulary`"):
        reader_card(None)


def two_convolutions(unused: int, *, twice: bool) -> tuple[onnx.ModelProto, str, str]:
    """64 channels, of which the second convolution has (denormal) nothing for `unused`."""
    graph = Graph()
    first, second = floats(64, 8, 1, 1), floats(24, 64, 1, 1)
    second[:, RNG.permutation(64)[:unused]] = 1e-39
    names = graph.floats(first), graph.floats(second)
    middle = graph.node("Conv", graph.input("x", [1, 8, 5, 7]), names[0])
    middle = graph.node("Add", middle, graph.floats(floats(1, 64, 1, 1)))
    middle = graph.node("Mul", middle, graph.node("Erf", middle))
    graph.output("y", graph.node("Conv", middle, names[1]), [1, 24, 5, 7])
    if twice:
        graph.output("z", graph.node("GlobalAveragePool", middle), [1, 64, 1, 1])
    return graph.model("block"), *names


@pytest.mark.parametrize("constants", [False, True])
@pytest.mark.parametrize(("unused", "left"), [(0, 64), (10, 64), (16, 48), (31, 48), (50, 16)])
def test_unused_channels_are_dropped_and_nothing_changes(
    unused: int, left: int, constants: bool
) -> None:
    model, first, second = two_convolutions(unused, twice=False)
    model = with_constants(model) if constants else model
    x = floats(1, 8, 5, 7)
    before = run(model, x)
    graph_edits.drop_unused(model, card("ppocrv6_det_small"))
    shapes = {name: list(tensor.dims) for name, tensor in graph_edits._weights(model.graph).items()}
    assert (shapes[first][0], shapes[second][1]) == (left, left)
    np.testing.assert_allclose(run(model, x), before, atol=1e-5)


def test_channels_with_another_user_stay() -> None:
    model, first, _ = two_convolutions(32, twice=True)
    graph_edits.drop_unused(model, card("ppocrv6_det_small"))
    shapes = {tensor.name: list(tensor.dims) for tensor in model.graph.initializer}
    assert shapes[first][0] == 64
    run(model, floats(1, 8, 5, 7))


@pytest.mark.parametrize("constants", [False, True])
def test_a_free_size_is_free(constants: bool) -> None:
    graph = Graph()
    pooled = graph.node("MaxPool", graph.input("x", [1, 3, 8, 8]), kernel_shape=[2, 2])
    cells = graph.node("Reshape", pooled, graph.integers([1, -1, 3]))
    graph.output("cells", cells, [1, 49, 3])
    model = graph.model("detector")
    model = with_constants(model) if constants else model
    graph_edits.free_size(model, card("yunet"))
    (y,) = run(model, x := floats(2, 3, 5, 9))
    assert y.shape == (2, 4 * 8, 3)
    # Each image of a batch is reshaped by itself.
    (alone,) = run(model, x[1:])
    np.testing.assert_array_equal(y[1:], alone)


def test_the_size_of_a_recogniser_and_of_channels_last_is_free() -> None:
    graph = Graph()
    lines = graph.node("ReduceMean", graph.input("x", [1, 4, 8, 3]), axes=[1], keepdims=0)
    graph.output("columns", lines, [1, 8, 3])
    graph.output("mean", graph.node("ReduceMean", lines, axes=[1], keepdims=0), [1, 3])
    model = graph.model("recogniser")
    graph_edits.free_size(model, msgspec.structs.replace(card("yunet"), layout="NHWC"))
    columns, mean = run(model, floats(2, 6, 9, 3))
    assert (columns.shape, mean.shape) == ((2, 9, 3), (2, 3))


def test_an_input_that_is_no_image_has_no_free_size() -> None:
    graph = Graph()
    graph.output("y", graph.node("Neg", graph.input("x", [1, 3])), [1, 3])
    with pytest.raises(WeightsError, match="yunet: the edit `free_size` needs an input of images"):
        graph_edits.free_size(graph.model("vector"), card("yunet"))


@pytest.mark.parametrize("colour", ["BGR", "RGB"])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize(
    ("mean", "scale"),
    [((0, 0, 0), (1, 1, 1)), ((0, 0, 0), (1 / 255, 0.3, 2)), ((123.7, 116.3, 103.5), (0.1, 2, 1))],
)
def test_a_model_takes_images_as_bytes(colour: Any, layout: Any, mean: Any, scale: Any) -> None:
    shape: list[Any] = (
        ["n", 3, "height", "width"] if layout == "NCHW" else ["n", "height", "width", 3]
    )
    graph = Graph()
    graph.output("y", graph.node("Neg", graph.input("x", shape)), shape)
    model = graph.model("network")
    takes = {"colour": colour, "layout": layout, "mean": mean, "scale": scale}
    graph_edits.take_images(model, msgspec.structs.replace(card("yunet"), **takes))
    [taken] = model.graph.input
    sizes = [each.dim_value or each.dim_param for each in taken.type.tensor_type.shape.dim]
    assert sizes == ["n", "height", "width", 3]

    pictures = RNG.integers(0, 256, (2, 5, 7, 3), np.uint8)
    [y] = run(model, pictures)
    turned = pictures[..., ::-1] if colour == "RGB" else pictures
    expected = -(turned - np.array(mean, np.float32)) * np.array(scale, np.float32)
    expected = expected.transpose(0, 3, 1, 2) if layout == "NCHW" else expected
    np.testing.assert_array_equal(y, expected)


def test_a_model_that_takes_more_than_an_image_is_refused() -> None:
    graph = Graph()
    total = graph.node("Add", graph.input("x", [1, 3, 4, 4]), graph.input("weights", [1]))
    graph.output("y", total, [1, 3, 4, 4])
    with pytest.raises(WeightsError, match=r'yunet: the graph takes x, weights, .*"own_weights"'):
        graph_edits.take_images(graph.model("old"), card("yunet"))


def test_weights_that_are_inputs_too_become_weights_only() -> None:
    weights = numpy_helper.from_array(floats(2, 2), "weights")
    inputs = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [2, 2])
        for name in ("x", "weights")
    ]
    output = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [2, 2])
    node = helper.make_node("MatMul", ["x", "weights"], ["y"])
    graph = helper.make_graph([node], "old", inputs, [output], [weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 9)], ir_version=3)
    graph_edits.own_weights(model, card("centerface"))
    assert [each.name for each in model.graph.input] == ["x"]
    onnx.checker.check_model(model)
    x = floats(2, 2)
    [y] = run(model, x)
    np.testing.assert_allclose(y, x @ numpy_helper.to_array(weights), rtol=1e-5)
