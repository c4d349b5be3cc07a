"""Every built model compared with its card."""

import shutil
from pathlib import Path

import pytest

from onlooker.models import session, verify, weights
from onlooker.models.card import cards


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
