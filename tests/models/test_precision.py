"""The comparison of bf16 with fp32, and the finding that is kept."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper

from onlooker.models import precision, self_test, session, weights
from onlooker.models.card import Characters, card, cards

YUNET, READER = card("yunet"), card("ppocrv6_rec_small")
Floats: TypeAlias = NDArray[np.float32]


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("fpu avx2 fma", False),
        ("fpu avx512f avx512_bf16", True),
        ("fpu amx_bf16 amx_tile", True),
    ],
)
def test_the_processors_flags_are_read(flags: str, expected: bool, tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor\t: 0\nflags\t\t: {flags}\nbugs\t\t: amx_bf16_is_no_flag\n")
    assert precision.has_bfloat16(cpuinfo) is expected
    assert precision.has_bfloat16(tmp_path / "absent") is False


@pytest.mark.parametrize(
    ("exact", "rounded", "sound"),
    [
        ([1.0, 2.0, 3.0], [1.0, 2.001, 3.0], True),
        ([1.0, 2.0, 3.0], [1.0, 2.3, 3.0], False),
        ([1.0, 2.0, 3.0], [1.0, np.nan, 3.0], False),
        # Nearly parallel, since all of it is far from zero, but more spread out.
        ([90.0, 91.0, 92.0], [90.0, 91.1, 92.2], False),
    ],
)
def test_bf16_is_sound_if_its_outputs_are_those_of_fp32(
    exact: list[float], rounded: list[float], sound: bool
) -> None:
    pair = [[np.array([values], np.float32)] for values in (exact, rounded)]
    finding = precision.compare(YUNET, ["y"], *pair)
    assert finding.sound is sound
    assert bool(finding.differences) is not sound


def reading(**changes: tuple[tuple[int, ...], float]) -> list[NDArray[Any]]:
    """Return a recogniser's outputs for four columns: a letter, a blank, a space, and a letter.

    changes: by output, the place of a value and the value.
    """
    outputs = {
        "idx": np.array([[[7, 3], [0, 9], [20, 7], [5, 0]]]),
        "prob": np.array([[[0.9, 0.004], [0.95, 0.04], [1, 0], [0.8, 0.15]]], np.float32),
        "space": np.array([[0, 0.04, 1, 0]], np.float32),
    }
    for name, (place, value) in changes.items():
        outputs[name][0][place] = value
    return list(outputs.values())


@pytest.mark.parametrize(
    ("rounded", "difference"),
    [
        # What changes in bf16: unlikely classes, and spaces that are unlikely anyway.
        (reading(), None),
        (reading(idx=((0, 1), 12)), None),
        (reading(space=((1,), 0.055)), None),
        (reading(idx=((0, 0), 8)), "probe is read otherwise"),
        (reading(prob=((3, 0), 0.69)), "column differ by 0.110 at most"),
        (reading(space=((2,), 0.8)), "column differ by 0.200 at most"),
        (reading(idx=((3, 1), 11)), "column differ by 0.150 at most"),
        (reading(prob=((1, 0), 0.905)), "column differ by 0.011 on average"),
        (reading(prob=((1, 0), np.nan)), "column differ by nan at most"),
        (reading(space=((0,), np.nan)), "column differ by nan at most"),
    ],
)
def test_of_a_recogniser_the_reading_and_its_probabilities_count(
    rounded: list[NDArray[Any]], difference: str | None
) -> None:
    finding = precision.compare(READER, ["idx", "prob", "space"], reading(), rounded)
    assert finding.sound is (difference is None)
    assert (difference or "") in "; ".join(finding.differences)


def to_bf16(values: Floats) -> Floats:
    bits = values.view(np.uint32).astype(np.uint64)
    nearest = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16 << 16
    return nearest.astype(np.uint32).view(np.float32)


def to_tf32(values: Floats) -> Floats:
    bits = values.view(np.uint32).astype(np.uint64)
    nearest = (bits + 0xFFF + (bits >> 13 & 1)) >> 13 << 13
    return nearest.astype(np.uint32).view(np.float32)


def without_an_eighth(values: Floats) -> Floats:
    lacking = values.copy()
    lacking[..., : -(-values.shape[-1] // 8)] = 0
    return lacking


def moved(values: Floats) -> Floats:
    return np.roll(values, 1, axis=0)


def outputs(name: str, file: Path) -> list[NDArray[Any]]:
    model = session._one_by_one(card(name), file, "cpu", "fp32")
    return model(self_test.batch(card(name)))


def spoilt(name: str, spoil: Callable[[Floats], Floats], layers: slice, folder: Path) -> Path:
    """Return the file of a model with other weights in some of its layers, in the graph's order."""
    model = onnx.load(weights.path(name))
    matrices = [
        each
        for each in model.graph.initializer
        if each.data_type == onnx.TensorProto.FLOAT and np.prod(each.dims) >= 1000
    ]
    for each in matrices[layers]:
        values = np.ascontiguousarray(spoil(numpy_helper.to_array(each)), np.float32)
        each.CopyFrom(numpy_helper.from_array(values, each.name))
    onnx.save(model, folder / weights.path(name).name)
    return folder / weights.path(name).name


@pytest.mark.parametrize(
    "name",
    [
        name
        for name, each in cards().items()
        if isinstance(each.decode, Characters) and (not each.optional or weights.built(each))
    ],
)
def test_a_recogniser_with_rounded_weights_is_sound(name: str, tmp_path: Path) -> None:
    names, exact = ("idx", "prob", "space"), outputs(name, weights.path(name))
    rounding = to_bf16 if card(name).run.bfloat16 else to_tf32
    rounded = outputs(name, spoilt(name, rounding, slice(None), tmp_path))
    assert not all(map(np.array_equal, exact, rounded))
    assert precision.compare(card(name), names, exact, rounded).differences == ()


@pytest.mark.parametrize("spoil", [without_an_eighth, moved])
@pytest.mark.parametrize("layer", [0, 8, 16, 24, 32, 40, 48, 57, 60])
def test_a_recogniser_with_one_wrong_layer_is_refused(
    layer: int, spoil: Callable[[Floats], Floats], tmp_path: Path
) -> None:
    name = READER.name
    exact = outputs(name, weights.path(name))
    place = slice(layer, layer + 1)
    wrong = outputs(name, spoilt(name, spoil, place, tmp_path))
    assert not precision.compare(READER, ["idx", "prob", "space"], exact, wrong).sound


def test_a_finding_is_kept_for_one_build_and_one_runtime(tmp_path: Path) -> None:
    built = tmp_path / YUNET.file
    finding = precision.Finding(True, 0.9995, ())
    assert precision.read(YUNET, built, "onnxruntime 1.0", "bf16") is None
    precision.keep(YUNET, built, "onnxruntime 1.0", "bf16", finding)
    assert precision.read(YUNET, built, "onnxruntime 1.0", "bf16") == finding
    assert precision.read(YUNET, built, "onnxruntime 1.1", "bf16") is None
    assert precision.read(YUNET, built, "onnxruntime 1.0", "tf32") is None
    assert (
        precision.read(YUNET, tmp_path / "yunet-000000000000.onnx", "onnxruntime 1.0", "bf16")
        is None
    )


def test_another_processor_makes_its_own_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = tmp_path / YUNET.file
    for number in (1, 2):
        cpuinfo = tmp_path / f"cpuinfo{number}"
        cpuinfo.write_text(f"model name\t: Processor {number}\nflags\t: amx_bf16\n")
        monkeypatch.setattr(precision, "CPUINFO", cpuinfo)
        assert precision.read(YUNET, built, "onnxruntime", "tf32") is None
        precision.keep(YUNET, built, "onnxruntime", "tf32", precision.Finding(number == 1, 0.9, ()))
    assert len(list(tmp_path.glob("*.json"))) == 2


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    built = tmp_path / "absent" / YUNET.file
    precision.keep(YUNET, built, "onnxruntime", "tf32", precision.Finding(True, 1.0, ()))
    assert precision.read(YUNET, built, "onnxruntime", "tf32") is None
