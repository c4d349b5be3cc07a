"""The comparison of bf16 with fp32, and the finding that is kept."""

from pathlib import Path

import numpy as np
import pytest

from onlooker.models import precision
from onlooker.models.card import card

YUNET = card("yunet")


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
