"""Every built model compared with its card."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from onlooker.models import precision, session, verify, weights
from onlooker.models.card import card, cards
from onlooker.models.model import Images, Model, Outputs


@pytest.mark.parametrize("name", list(cards()))
@pytest.mark.parametrize("provider", ["auto", "cpu"])
def test_every_model_gives_what_its_card_promises(name: str, provider: str) -> None:
    (verdict,) = verify.verify([name], provider)
    assert verdict.problems == ()


def test_another_model_in_its_place_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, wrong = weights.path("yunet"), cards()["ppocrv4_det"]
    monkeypatch.setenv("ONLOOKER_MODELS", str(tmp_path))
    shutil.copy(other, tmp_path / wrong.file)
    (verdict,) = verify.verify(["ppocrv4_det"], "cpu")
    assert (verdict.name, verdict.provider, verdict.precision) == ("ppocrv4_det", "cpu", "")
    [problem] = verdict.problems
    assert "the model does not fit its card: it has 12 outputs" in problem


@pytest.mark.skipif("openvino" not in session.available(), reason="it needs OpenVINO")
def test_a_recogniser_in_bf16_is_compared_with_itself_in_fp32(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenVINO computes in bf16 on processors with AVX-512 only, and on others in fp32."""
    shutil.copy(weights.path("ppocrv6_rec_small"), tmp_path)
    monkeypatch.setenv("ONLOOKER_MODELS", str(tmp_path))
    monkeypatch.setattr(precision, "has_bfloat16", lambda: True)
    (verdict,) = verify.verify(["ppocrv6_rec_small"])
    assert (verdict.provider, verdict.precision, verdict.problems) == ("openvino", "bf16", ())
    # A finding of another day says that it may run so, and today it reads otherwise.
    load = session.load

    def spoilt(name: str, provider: str) -> Model:
        model = load(name, provider)
        return model if provider == "cpu" else Model(card(name), "openvino", "bf16", Worse(model))

    monkeypatch.setattr(session, "load", spoilt)
    (verdict,) = verify.verify(["ppocrv6_rec_small"])
    assert verdict.precision == "bf16"
    assert "the probe is read otherwise" in verdict.problems


class Worse:
    """A model whose best classes are wrong."""

    def __init__(self, model: Model) -> None:
        self.outputs, self.metadata = model.outputs, model.metadata
        self._model = model

    def __call__(self, images: Images) -> Outputs:
        classes, *others = self._model(images)
        return [np.where(classes > 0, classes + 1, 0), *others]

    def prepare(self, height: int, width: int) -> None:
        pass


@pytest.mark.filterwarnings("ignore:Specified provider 'CUDAExecutionProvider'")
def test_a_provider_that_cannot_be_used_is_no_model_s_fault(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(session, "available", lambda: ("cpu", "cuda"))
    with pytest.raises(session.ProviderError, match="cannot run on cuda"):
        next(verify.verify(["gender", "yunet"], "cuda"))


def test_a_measurement_is_what_the_card_holds() -> None:
    measured = {each.output: each for each in verify.measure("gender")}
    for expected in cards()["gender"].probe.expect:
        assert measured[expected.output].shape == expected.shape
        assert measured[expected.output].mean == pytest.approx(expected.mean, rel=2e-3)
