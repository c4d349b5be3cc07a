"""Models: batches, sizes, outputs, and the time that they take."""

import time
from collections.abc import Mapping
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray

from onlooker.models import model as models
from onlooker.models import self_test, session
from onlooker.models.card import card

needs_openvino = pytest.mark.skipif(
    "openvino" not in session.available(), reason="onnxruntime-openvino is not installed"
)
PROVIDERS = ["cpu", pytest.param("openvino", marks=needs_openvino)]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_batch_is_its_images_one_by_one(provider: str) -> None:
    model = session.load("mobilefacenet", provider)
    rng = np.random.default_rng(7)
    pictures = rng.integers(0, 256, (3, 112, 112, 3), np.uint8)
    (together,) = model(pictures)
    alone = np.concatenate([model(pictures[at : at + 1])[0] for at in range(3)])
    assert together.shape == (3, 192)
    np.testing.assert_array_equal(together, alone)


def test_a_batch_of_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="mobilefacenet: the batch has no images"):
        session.load("mobilefacenet", "cpu")(np.empty((0, 112, 112, 3), np.uint8))


def test_a_model_counts_its_calls_and_their_time() -> None:
    model = session.load("gender", "cpu")
    assert (model.calls, model.seconds) == (0, 0.0)
    before, began = models.seconds(), time.perf_counter()
    model(self_test.batch(model.card))
    once = model.seconds
    model(self_test.batch(model.card))
    assert model.calls == 2
    assert 0 < once < model.seconds < time.perf_counter() - began
    assert models.seconds() - before == pytest.approx(model.seconds)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_images_of_several_sizes_are_run_as_each_alone(provider: str) -> None:
    model = session.load("yunet", provider)
    rng = np.random.default_rng(3)
    sizes = [(64, 96), (32, 64), (64, 96), (96, 64)]
    images = [rng.integers(0, 256, (*size, 3), np.uint8) for size in sizes]
    together = model.run_each(images)
    assert model.run_each([]) == []
    assert len(together) == 4
    for each, outputs in zip(images, together, strict=True):
        for one, alone in zip(outputs, model(each[None]), strict=True):
            np.testing.assert_array_equal(one, alone)


def test_a_graph_with_a_free_batch_gets_the_whole_batch() -> None:
    runs: list[int] = []

    class Free:
        def get_inputs(self) -> list[SimpleNamespace]:
            return [SimpleNamespace(name="x", shape=["n", 2, 2, 3])]

        def get_outputs(self) -> list[SimpleNamespace]:
            return [SimpleNamespace(name="y")]

        def get_modelmeta(self) -> SimpleNamespace:
            return SimpleNamespace(custom_metadata_map={})

        def run(
            self, names: None, feeds: dict[str, NDArray[np.uint8]]
        ) -> list[NDArray[np.float32]]:
            runs.append(len(feeds["x"]))
            return [np.arange(len(feeds["x"]), dtype=np.float32)[:, None]]

    model = models.Model(card("yunet"), "cpu", "fp32", models.OneByOne(Free()))
    same = [np.zeros((2, 2, 3), np.uint8)] * 3
    assert [outputs[0].item() for outputs in model.run_each(same)] == [0, 1, 2]
    assert runs == [3]


@pytest.mark.parametrize(
    ("provider", "number", "padding"),
    [("cuda", 21, 1 / 2), ("openvino", 21, 1 / 2), ("cpu", 600, 0)],
)
def test_there_are_few_lengths(provider: str, number: int, padding: float) -> None:
    class Nothing:
        outputs: tuple[str, ...] = ()
        metadata: Mapping[str, str] = {}

        def __call__(self, images: models.Images) -> models.Outputs:
            return []

        def prepare(self, height: int, width: int) -> None:
            pass

    model = models.Model(card("ppocrv6_rec_small"), provider, "fp32", Nothing())
    lengths = [model.length(least) for least in range(8, 4801)]
    assert len(set(lengths)) <= number
    for least, length in enumerate(lengths, 8):
        assert least <= length < (1 + padding) * least + 8
        assert length % 8 == 0
    assert [model.length(least) for least in (1, 8, 9)] == [8, 8, 16]
