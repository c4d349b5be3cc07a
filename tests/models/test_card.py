import re
import tomllib
from pathlib import Path

import pytest

from onlooker.models import card
from onlooker.models.card import WeightsError

NAMES = sorted(path.stem for path in card.CARDS.glob("*.toml"))
DEFAULT = {
    "age",
    "centerface",
    "face_expression",
    "face_mesh_attention",
    "faceres",
    "gender",
    "mobilefacenet",
    "ppocrv6_det_small",
    "ppocrv6_rec_small",
    "yunet",
}


def test_the_default_models_are_the_ones_that_are_not_optional() -> None:
    assert {each.name for each in card.cards().values() if not each.optional} == DEFAULT


@pytest.mark.parametrize("name", NAMES)
def test_a_card_has_a_licence_authors_and_figures(name: str) -> None:
    found = card.card(name)
    assert found.licence in ("MIT", "Apache-2.0", "CC0-1.0")
    assert len(found.attribution) > 20
    assert len(found.trained_on) > 20
    assert found.probe.expect
    assert (found.embedder is not None) == (found.decode.__class__ is card.Vector)


@pytest.mark.parametrize("name", NAMES)
def test_the_readme_has_the_card(name: str) -> None:
    found = card.card(name)
    readme = (card.CARDS / "README.md").read_text(encoding="utf-8")
    row = next((line for line in readme.splitlines() if line.startswith(f"| {name} ")), None)
    assert row is not None, f"models/README.md has no row for {name}: add it to its table"
    assert f"| {found.licence} | {found.archive.client}, " in row
    assert f"{found.archive.package} {found.archive.version}" in row


@pytest.mark.parametrize(
    ("find", "replace", "said"),
    [
        (r"licence = .*\n", "", "missing required field `licence`"),
        (r"licence = ", "license = ", "unknown field `license`; did you mean `licence`?"),
        (r"\[run\]", '[run]\ncolour = "BGR"', "`colour` stands before the first [table]"),
        (r"task = ", "sha256 = '00'\ntask = ", "`sha256` is a key of [archive]"),
        (r'client = "pip"', 'client = "git"', "known are apt, folder, npm, pip, pip-source"),
        (r'kind = "yunet"', 'kind = "ssd"', "known are yunet, centerface, mesh, "),
        (r"edits = .*\n", 'vocabulary = "all"\n', "is for the edit 'ranked_with_space': add that"),
        (r"task = ", "speed = 3\ntask = ", "unknown field `speed`"),
        (r"size = \[", "seize = [", "unknown field `seize` - at `$.probe`"),
        (r'sha256 = "21', 'sha256 = "xx', "of 64 hex digits in lower case - at `$.archive.sha256`"),
        (r'"free_size"', '"quantise"', "`; known are drop_unused, free_size, heads"),
        (r'name = "yunet"', 'name = "yolo"', "the card's name is 'yolo'; name the file yolo.toml"),
        (r"strides", "stride", "`$.decode`"),
        (r"task = ", "task : ", "line"),
    ],
)
def test_a_bad_card_is_refused_with_the_place(
    find: str, replace: str, said: str, tmp_path: Path
) -> None:
    text = (card.CARDS / "yunet.toml").read_text(encoding="utf-8")
    path = tmp_path / "yunet.toml"
    path.write_text(re.sub(find, replace, text, count=1), encoding="utf-8")
    with pytest.raises(WeightsError) as error:
        card.read(path)
    assert said in str(error.value)
    assert str(path) in str(error.value)


def test_an_unknown_name_brings_a_hint() -> None:
    with pytest.raises(WeightsError, match=r"did you mean mobilefacenet\?"):
        card.card("mobilfacenet")
    with pytest.raises(WeightsError, match="known models are age, "):
        card.card("zzz")


def test_the_digest_follows_what_is_built_and_nothing_else(tmp_path: Path) -> None:
    text = (card.CARDS / "yunet.toml").read_text(encoding="utf-8")
    path = tmp_path / "yunet.toml"

    def digest(changed: str) -> str:
        assert changed != text
        tomllib.loads(changed)
        path.write_text(changed, encoding="utf-8")
        return card.read(path).digest

    before = card.card("yunet").digest
    assert digest(text.replace("finds faces", "looks for faces")) == before
    assert digest(text.replace('"free_size"', '"free_size", "free_size"')) != before
    for one, other in (
        ('"BGR"', '"RGB"'),
        ('"NCHW"', '"NHWC"'),
        ("mean = [0.0,", "mean = [1.0,"),
        ("scale = [1.0,", "scale = [2.0,"),
    ):
        assert digest(text.replace(one, other, 1)) != before, one


def test_embedders_side_by_side_have_a_space_of_their_own() -> None:
    one, both = card.space("mobilefacenet"), card.space("mobilefacenet+dlib_resnet")
    assert (one.dim, one.smallest) == (192, 32)
    assert one.calibration.metric == "cosine"
    assert both.dim == 192 + 128
    assert both.calibration.metric == "euclidean"
    with pytest.raises(WeightsError, match="yunet is no face embedder; it finds faces"):
        card.space("mobilefacenet+yunet")
    with pytest.raises(WeightsError, match=r"known ones are mobilefacenet.dlib_resnet"):
        card.space("mobilefacenet+mobilefacenet")
