"""Sessions: the choice of provider and precision, batches, and errors that say what to do."""

import logging
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray

from onlooker.models import precision, self_test, session, weights
from onlooker.models.card import WeightsError, card
from onlooker.models.model import OneByOne

needs_openvino = pytest.mark.skipif(
    "openvino" not in session.available(), reason="onnxruntime-openvino is not installed"
)
PROVIDERS = ["cpu", pytest.param("openvino", marks=needs_openvino)]


def test_outputs_come_in_the_graphs_order() -> None:
    model = session.load("yunet", "cpu")
    assert model.outputs[:3] == ("cls_8", "cls_16", "cls_32")
    outputs = dict(zip(model.outputs, model(self_test.batch(model.card)), strict=True))
    assert outputs["kps_8"].shape == (1, 24 * 40, 10)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_detector_takes_images_of_any_size(provider: str) -> None:
    model = session.load("yunet", provider)
    for height, width in ((32, 64), (320, 96), (32, 64)):
        outputs = model(np.zeros((1, height, width, 3), np.uint8))
        assert outputs[0].shape == (1, height * width // 64, 1)


def test_the_reader_reads_the_probes_words() -> None:
    model = session.load("ppocrv6_rec_small", "cpu")
    classes, probabilities, spaces = model(self_test.batch(model.card))
    alphabet = ["", *model.metadata["character"].split("\n")]
    assert "".join(alphabet[index] for index in classes[0, :, 0]) == self_test.WORDS
    assert probabilities[..., 0].min() > 0.8
    assert spaces.shape == probabilities.shape[:2]
    assert {"A", "é", "ß", "€", " ", "0"} <= set(alphabet)
    assert "中" not in alphabet


@pytest.mark.parametrize("name", ["ppocrv6_det_small", "ppocrv4_det"])
def test_the_text_detectors_find_the_probes_digits(name: str) -> None:
    model = session.load(name, "cpu")
    (likely,) = model(self_test.batch(model.card))
    rows, columns = np.nonzero(likely[0, 0] > 0.3)
    # The line is 26 pixels high round row 96 and goes from column 12 to 306; its core is smaller.
    assert 80 < rows.min() < 96 < rows.max() < 112
    assert columns.min() < 40
    assert columns.max() > 270


@needs_openvino
def test_two_processes_give_the_same_bytes() -> None:
    script = (
        "import hashlib\nfrom onlooker.models import self_test, session\n"
        "model = session.load('mobilefacenet')\n"
        "(vector,) = model(self_test.batch(model.card))\n"
        "print(model.provider, model.precision, hashlib.sha256(vector.tobytes()).hexdigest())"
    )
    runs = [subprocess.run([sys.executable, "-c", script], capture_output=True) for _ in range(2)]
    assert runs[0].stdout.startswith(b"openvino "), runs[0].stderr
    assert runs[0].stdout == runs[1].stdout
    assert runs[0].stderr == b""


@pytest.mark.parametrize(
    ("name", "installed", "expected"),
    [
        ("mobilefacenet", ("cpu",), "cpu"),
        ("mobilefacenet", ("cpu", "openvino"), "openvino"),
        ("yunet", ("cpu", "openvino"), "cpu"),
        ("yunet", ("cpu", "cuda"), "cpu"),
    ],
)
def test_auto_and_openvino_follow_the_card(
    name: str, installed: tuple[str, ...], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "available", lambda: installed)
    assert session.choose(card(name), "auto") == expected
    if "openvino" in installed:
        assert session.choose(card(name), "openvino") == expected


class Session:
    """A session that returns the same numbers for every image."""

    def __init__(self, answer: NDArray[np.float32]) -> None:
        self._answer = answer

    def get_inputs(self) -> list[SimpleNamespace]:
        return [SimpleNamespace(name="x", shape=[1, 2, 2, 3])]

    def get_outputs(self) -> list[SimpleNamespace]:
        return [SimpleNamespace(name="y")]

    def get_modelmeta(self) -> SimpleNamespace:
        return SimpleNamespace(custom_metadata_map={})

    def run(self, names: None, feeds: object) -> list[NDArray[np.float32]]:
        return [self._answer]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own with two built models, on a machine that has bf16."""
    for name in ("yunet", "faceres"):
        shutil.copy(weights.path(name), tmp_path)
    monkeypatch.setenv("ONLOOKER_MODELS", str(tmp_path))
    monkeypatch.setattr(session, "available", lambda: ("cpu", "openvino"))
    monkeypatch.setattr(precision, "has_bfloat16", lambda: True)
    return tmp_path


@pytest.mark.parametrize(
    ("exact", "coarse", "ran"),
    [
        ([1.0, 2.0, 3.0], [1.0, 2.001, 3.0], ("openvino", "bf16")),
        ([1.0, 2.0, 3.0], [1.0, 2.3, 3.0], ("cpu", "fp32")),
    ],
)
@pytest.mark.usefixtures("folder")
def test_bf16_is_used_only_if_its_outputs_are_those_of_fp32(
    exact: list[float],
    coarse: list[float],
    ran: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    answers = {"fp32": exact, "bf16": coarse}
    monkeypatch.setattr(
        session, "_session", lambda *given: Session(np.array([answers[given[-1]]], np.float32))
    )
    with caplog.at_level(logging.DEBUG):
        model = session.load("yunet")
    assert (model.provider, model.precision) == ran
    assert "model=yunet provider={} precision={}".format(*ran) in caplog.text
    # A provider that was asked for by name is used, but OpenVINO not where it is slower.
    openvino = session.load("yunet", "openvino")
    assert (openvino.provider, openvino.precision) == ran
    assert session.load("faceres", "openvino").provider == "openvino"
    assert session.load("yunet", "cpu").precision == "fp32"
    # bf16 is not tried if the card says that it is not worth it.
    assert session.load("faceres").precision == "fp32"


@pytest.mark.parametrize(("coarse", "sessions"), [(2.001, ["bf16"]), (2.3, ["fp32"])])
def test_the_finding_about_bf16_is_kept_for_the_next_process(
    coarse: float, sessions: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    def make(*given: str) -> Session:
        made.append(given[-1])
        return Session(np.array([[1.0, 2.0 if given[-1] == "fp32" else coarse]], np.float32))

    monkeypatch.setattr(session, "_session", make)
    first = session.load("yunet").precision
    assert set(made) == {"fp32", "bf16"}
    [finding] = folder.glob("yunet-*-bf16-*.json")
    made.clear()
    assert session.load("yunet").precision == first == sessions[0]
    assert made == sessions
    # A damaged finding is made again.
    finding.write_bytes(b"{")
    made.clear()
    assert session.load("yunet").precision == first
    assert set(made) == {"fp32", "bf16"}


def test_a_provider_that_is_not_installed_is_an_error_with_the_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(session, "available", lambda: ("cpu",))
    with pytest.raises(WeightsError, match=r'pip install "onlooker\[gpu\]"'):
        session.load("yunet", "cuda")
    with pytest.raises(WeightsError, match=r'pip install "onlooker\[openvino\]"'):
        session.load("yunet", "openvino")
    with pytest.raises(WeightsError, match="known ones are auto, cpu, openvino, cuda"):
        session.load("yunet", "tpu")


@pytest.mark.filterwarnings("ignore:Specified provider 'CUDAExecutionProvider'")
def test_a_provider_that_cannot_start_is_an_error_and_not_the_processor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As with the GPU's ONNX Runtime on a machine without one: it would go on without a word."""
    monkeypatch.setattr(session, "available", lambda: ("cpu", "cuda"))
    with pytest.raises(
        WeightsError, match=r'yunet cannot run on cuda.*nvidia-smi.*onlooker\[gpu\]"`, or .* "cpu"'
    ):
        session.load("yunet", "cuda")


def test_a_run_that_a_provider_fails_is_not_tried_again_on_the_processor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from onnxruntime.capi.onnxruntime_pybind11_state import EPFail

    class Failing:
        def run(self, *_: object) -> None:
            raise EPFail("the card is gone")

    model = session.load("mobilefacenet", "openvino")
    runner = model._runner
    assert isinstance(runner, OneByOne)
    monkeypatch.setattr(runner._session, "_sess", Failing())
    with pytest.raises(EPFail):
        model(np.zeros((1, 64, 64, 3), np.uint8))


def test_without_onnx_runtime_the_error_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(WeightsError, match=r'pip install "onlooker\[cpu\]"'):
        session.load("yunet")


def test_a_damaged_file_is_an_error_with_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = weights.path("yunet")
    monkeypatch.setenv("ONLOOKER_MODELS", str(tmp_path))
    (tmp_path / whole.name).write_bytes(whole.read_bytes()[:1000])
    with pytest.raises(WeightsError, match="onlooker models pull --force yunet"):
        session.load("yunet", "cpu")


SHAPES = """
import os, sys
import numpy as np
from onlooker.models import session, weights
from onlooker.models.card import card

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

model = session._one_by_one(card("yunet"), weights.path("yunet"), sys.argv[1], "fp32")
shapes = [(32 * rows, 32 * columns) for rows in range(1, 17) for columns in range(1, 17)]
np.random.default_rng(3).shuffle(shapes)
for number, shape in enumerate([(512, 512), *shapes[:150]]):
    model(np.zeros((1, *shape, 3), np.uint8))
    if number == 30:
        before = resident()
print((resident() - before) / 1e6)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("provider", PROVIDERS)
def test_new_shapes_take_no_more_memory(provider: str) -> None:
    """Each of 120 further shapes would take 3 MB on OpenVINO if nothing bounded them."""
    done = subprocess.run(
        [sys.executable, "-c", SHAPES, provider], capture_output=True, text=True, timeout=100
    )
    most = {"cpu": 5, "openvino": 60}[provider]
    assert float(done.stdout) < most, done.stderr
