"""Cards that are wrong, each in one way: one line names the card and the cause, and no other model
suffers.
"""

from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import msgspec
import onnx
import pytest
from onnx import TensorProto, numpy_helper
from tests.support.tiny_models import (
    ALPHABET,
    KINDS,
    MODELS,
    described,
    detector,
    reader,
    tall_reader,
)
from typer.testing import CliRunner

from onlooker.cli import models, pull_models
from onlooker.config import schema
from onlooker.models import card, fitness, readers, weights
from onlooker.models.card import WeightsError
from onlooker.vision.mesh import STABLE

Change = Callable[[dict[str, Any]], None]


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of own cards, and a cache of models of its own."""
    built = weights.folder()
    monkeypatch.setenv("ONLOOKER_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("ONLOOKER_MODELS", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    for each in card.cards().values():  # the others need not be built again
        if (built / each.file).is_file():
            (tmp_path / "cache" / each.file).symlink_to(built / each.file)
    folder = tmp_path / "data" / "models"
    folder.mkdir(parents=True)
    forget()
    yield folder
    monkeypatch.undo()
    forget()


def forget() -> None:
    card.cards.cache_clear()
    pull_models._say_once.cache_clear()
    weights._failures.clear()


def toml(table: dict[str, Any], place: str = "") -> str:
    """Return a table as TOML, its inner tables last."""
    values = [
        f"{key} = {inline(value)}\n" for key, value in table.items() if not isinstance(value, dict)
    ]
    inner = [(f"{place}{key}", each) for key, each in table.items() if isinstance(each, dict)]
    return "".join([*values, *(f"[{key}]\n{toml(each, key + '.')}" for key, each in inner)])


def inline(value: object) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(inline, value))}]"
    if isinstance(value, dict):
        pairs = (f"{key} = {inline(each)}" for key, each in value.items() if each is not None)
        return f"{{{', '.join(pairs)}}}"
    return msgspec.json.encode(value).decode()


def write(own: Path, kind: str, change: Change = lambda _: None, data: bytes | None = None) -> Path:
    """Write the card of a model, changed, and the model; return the card's path."""
    source = own.parent / "source"
    source.mkdir(exist_ok=True)
    (source / "model.onnx").write_bytes(MODELS[kind] if data is None else data)
    found = described(kind, source)
    change(found)
    path = own / "mine.toml"
    path.write_text(toml(found))
    forget()
    return path


def run(*words: str) -> tuple[int, str, str]:
    """Return status, output and complaints of a command; an error is one line."""
    done = CliRunner().invoke(models.app, words, env={"COLUMNS": "400"})
    if isinstance(done.exception, WeightsError):
        assert "\n" not in str(done.exception)
        return 1, done.stdout, f"{done.stderr}error: {done.exception}\n"
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout, done.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_a_good_card_is_built_probed_once_and_verified(kind: str, own: Path) -> None:
    path = write(own, kind)
    status, out, said = run("verify", "mine")
    assert (status, out.count("\n")) == (1, 1)
    assert "wrong  mine on cpu fp32: the card has no figures to compare with" in out
    assert f"`onlooker models probe mine >> {path}`" in said
    status, figures, said = run("probe", "mine")
    assert status == 0
    assert f"go to the end of {path}" in said
    path.write_text(path.read_text() + figures)
    forget()
    assert run("verify", "mine") == (0, "sound  mine on cpu fp32: as on its card\n", "")
    status, out, said = run("probe", "mine")
    assert (status, out) == (1, ""), "so that >> appends nothing"
    assert "remove its [[probe.expect]] first" in said


GOOD: Change = lambda _: None  # noqa: E731
YUNET = {"kind": "yunet", "strides": [8], "confidence": {"slope": 1, "midpoint": 0}}
CLASSES = {"kind": "classes", "labels": ["a", "b"]}
MAP = {"kind": "probability_map"}


def at(place: str, value: object) -> Change:
    """Return the change that puts a value in its place, as "probe.size"; ... removes the key."""

    def change(found: dict[str, Any]) -> None:
        *way, last = place.split(".")
        for each in way:
            found = found[int(each)] if isinstance(found, list) else found[each]
        if value is ...:
            del found[last]
        else:
            found[last] = value

    return change


def low(found: dict[str, Any]) -> None:
    """Change a recogniser's card to that of lines 32 pixels high."""
    found["shape"], found["probe"]["size"] = [32, 0], [320, 32]


def read(found: dict[str, Any]) -> None:
    """Change a detector's card to a recogniser's, without its edit."""
    found |= deepcopy(KINDS["reader"]) | {"build": {"format": "onnx"}}


def undecoded(found: dict[str, Any]) -> None:
    """Change a recogniser's card to a detector's."""
    found["build"], found["decode"] = {"format": "onnx"}, MAP


REQUIRED = (
    "name", "task", "licence", "attribution", "trained_on", "archive", "members", "build", "layout",
    "shape", "colour", "mean", "scale", "decode", "run", "probe", "archive.client",
    "archive.package", "archive.version", "archive.size", "archive.sha256", "members.0.path",
    "members.0.sha256", "build.format", "decode.kind", "decode.scripts", "run.provider",
    "run.bfloat16", "probe.picture", "probe.size",
)  # fmt: skip


@pytest.mark.parametrize("key", REQUIRED)
def test_a_missing_key_is_named(key: str, own: Path) -> None:
    path = write(own, "reader", at(key, ...))
    status, _, said = run("verify", "mine")
    assert status == 1
    assert f"{path}: " in said
    assert f"`{key.rpartition('.')[2]}`" in said


@pytest.mark.parametrize(
    ("kind", "key", "value", "cause"),
    [
        ("reader", "licence", "", "length >= 1 - at `$.licence`"),
        ("reader", "task", 7, "Expected `str`, got `int` - at `$.task`"),
        ("reader", "name", "yours", "the card's name is 'yours'; name the file yours.toml"),
        ("reader", "members", [], "length >= 1 - at `$.members`"),
        ("reader", "archive.client", "curl", "Invalid enum value 'curl' - at `$.archive.client`"),
        ("reader", "members.0.sha256", "abc", "of 64 hex digits in lower case - at `$.members"),
        ("reader", "build.format", "caffe", "Invalid enum value 'caffe'"),
        ("reader", "build.edits", ["quantise"], "Invalid enum value 'quantise'"),
        ("reader", "build.vocabulary", ..., "'ranked_with_space' needs the key `vocabulary`"),
        ("reader", "shape", [48], "length 2"),
        ("reader", "multiple", 0, ">= 1 - at `$.multiple`"),
        ("reader", "scale", [1.0, 0.0, 1.0], "no scale is 0"),
        ("reader", "decode.kind", "letters", "Invalid value 'letters'"),
        ("reader", "decode.scripts", [], "length >= 1 - at `$.decode.scripts`"),
        ("reader", "decode.scripts", ["Latin"], "no script is called 'Latin'; did you mean latin?"),
        ("reader", "decode.scripts", ["latn"], "no script is called 'latn'; did you mean latin?"),
        ("reader", "build.edits", [], "`vocabulary` is for the edit 'ranked_with_space'"),
        ("reader", "decode.strides", [8], "unknown field `strides`"),
        ("reader", "probe.size", [0, 48], ">= 1 - at `$.probe.size"),
        ("reader", "probe.size", [320, 32], "32 must be 48"),
        ("reader", "probe.size", [321, 48], "321 must be a multiple of 8"),
        ("reader", "speed", 3, "unknown field `speed`"),
        ("vector", "embedder", ..., "goes with decode.kind = \"vector\""),
        ("vector", "decode.kind", "probability_map", "goes with decode.kind = \"vector\""),
        ("vector", "embedder.chip", 12, "embedder.chip is 12, and shape"),
        ("vector", "embedder.mesh_template", [[8, 8]], "length >= 20"),
        ("vector", "embedder.calibration.slope", -20, "slope must be above 0 for a cosine"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_named_with_its_place(
    kind: str, key: str, value: object, cause: str, own: Path
) -> None:
    path = write(own, kind, at(key, value))
    status, _, said = run("verify", "mine")
    assert status == 1
    assert f"{path}: " in said
    pattern = cause if ".*" in cause else None
    if pattern is None:
        assert cause in said
    else:
        with pytest.raises(WeightsError, match=pattern):
            card.card("mine")


@pytest.mark.parametrize(
    ("kind", "change", "data", "cause"),
    [
        ("reader", at("members.0.sha256", "1" * 64), None, "sha256 .*, but its card has 1{64}"),
        (
            "reader",
            at("members.0.sha256", "0" * 64),
            None,
            'zeros; .*: model.onnx: sha256 = "[0-9a-f]{64}"',
        ),
        ("reader", at("members.0.path", "other.onnx"), None, "other.onnx is no longer there"),
        ("reader", at("build.format", "tflite"), None, "cannot be built as .* 'tflite'"),
        ("reader", at("build.format", "tesseract"), None, "'tesseract'|Tesseract"),
        ("reader", at("build.format", "tfjs"), None, r"has 1 \[\[members\]\], and .* 'tfjs'"),
        ("reader", at("build", {"format": "onnx"}), None, "no output idx, .*ranked_with_space"),
        ("reader", low, None, r"lines are 48 pixels high: .* shape = \[48, 0\], not \[32, 0\]"),
        (
            "reader",
            GOOD,
            tall_reader(64),
            "fails on its probe, .* 320 x 48 pixels; are shape",
        ),
        ("reader", at("decode", MAP), None, "it has 3 outputs .*takes 1 output"),
        ("reader", undecoded, None, r"a map is \(n, 1, height, width\)"),
        ("reader", at("decode.scripts", ["cyrillic"]), None, "has cyrillic, .* those of latin"),
        ("reader", GOOD, reader(), "needs the metadata `character`"),
        ("reader", GOOD, MODELS["reader"][:200], "is it of that format, and whole"),
        ("reader", GOOD, b"", "no ONNX model"),
        ("reader", GOOD, MODELS["detector"], "needs the metadata `character`"),
        ("detector", at("build.edits", ["heads"]), None, "'heads' needs the key `heads`"),
        ("detector", at("build", KINDS["reader"]["build"]), None, "the metadata `character`"),
        ("detector", read, None, "no output idx, but y"),
        ("detector", at("layout", "NHWC"), None, r"\(any, 3, any, any\), .* \(any, any, any, 3\)"),
        ("detector", GOOD, detector((64, 64)), r"\(any, 3, 64, 64\), .*free_size"),
        ("detector", GOOD, detector(maps=2), r"a map is \(n, 1, height, width\)"),
        ("detector", GOOD, detector(kind=TensorProto.UINT8), "takes UINT8 as x, not FLOAT"),
        ("detector", at("decode", YUNET), None, "no output cls_8, but y"),
        ("detector", at("decode", CLASSES), None, r"decode.labels makes its output \(n, 2\)"),
        ("vector", at("embedder.dim", 5), None, r"embedder.dim .* \(n, 5\), .* \(1, 4\)"),
    ],
)
def test_a_model_that_is_not_the_cards_is_one_line(
    kind: str, change: Change, data: bytes | None, cause: str, own: Path
) -> None:
    write(own, kind, change, data)
    for words in (("pull", "mine"), ("probe", "mine"), ("verify", "mine")):
        status, out, said = run(*words)
        assert status == 1
        assert "mine: " in said + out or "mine.toml: " in said
        with pytest.raises(AssertionError, match=cause):
            raise AssertionError(said + out)


def test_a_file_may_leave_sizes_open_with_numbers_below_one(own: Path) -> None:
    write(own, "reader", data=tall_reader())
    status, out, said = run("pull", "mine")
    assert (status, said) == (0, "")
    assert out.startswith(str(own.parent.parent / "cache" / "mine-"))


def test_the_order_of_edits_does_not_matter(own: Path) -> None:
    built = []
    for edits in (["ranked_with_space", "free_size"], ["free_size", "ranked_with_space"]):
        write(own, "reader", at("build.edits", edits), tall_reader())
        assert run("pull", "mine")[0] == 0
        built.append(weights.path("mine").read_bytes())
    assert built[0] == built[1]


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 3], lambda data: b""])
def test_pull_builds_a_damaged_file_again(damage: Callable[[bytes], bytes], own: Path) -> None:
    write(own, "reader")
    run("pull", "mine")
    path = weights.path("mine")
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    status, out, said = run("pull", "mine")
    assert (status, out.split()[0]) == (0, str(path))
    assert said.startswith(f"built again: {path} cannot be loaded on cpu: ")
    assert path.read_bytes() == whole


def test_pull_builds_without_a_runtime_and_says_that_nothing_was_compared(
    own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(own, "reader", at("decode.scripts", ["cyrillic"]))
    monkeypatch.setattr(models, "find_spec", lambda name: None)
    status, out, said = run("pull", "mine")
    assert (status, out.split()[0]) == (0, str(weights.path("mine")))
    assert said == "not compared with their cards: ONNX Runtime is not installed\n"


def test_pull_says_what_is_wrong_with_one_model_and_prints_the_others(own: Path) -> None:
    write(own, "reader", at("decode.scripts", ["cyrillic"]))
    status, out, said = run("pull", "mine", "gender")
    assert (status, out.split()[0]) == (1, str(weights.path("gender")))
    assert said.startswith("error: mine: the model does not fit its card: decode.scripts has cyr")


def test_pull_says_that_a_file_has_other_figures_than_its_card(own: Path) -> None:
    card_path = write(own, "vector")
    figures = run("probe", "mine")[1]
    card_path.write_text(card_path.read_text() + figures)
    forget()
    path = weights.path("mine")
    model = onnx.load(path)
    [weight] = [each for each in model.graph.initializer if each.name == "k"]
    weight.CopyFrom(numpy_helper.from_array(-numpy_helper.to_array(weight), "k"))
    whole = path.read_bytes()
    path.write_bytes(model.SerializeToString())
    status, out, said = run("pull", "mine")
    assert (status, out) == (1, "")
    assert "mine: its outputs are not its card's: mean of y is " in said
    assert "`onlooker models pull --force mine` builds it again" in said
    assert run("pull", "--force", "mine")[0] == 0
    assert path.read_bytes() == whole


def test_a_bad_card_is_left_out_with_one_line_and_no_other_model_suffers(own: Path) -> None:
    path = write(own, "reader", at("licence", ...))
    bad = "own model left out: " + f"{path}: Object missing required field `licence`\n"
    status, out, said = run("list")
    assert (status, said) == (0, bad)
    assert "yunet" in out
    assert "mine" not in out
    forget()
    status, out, said = run("verify", "gender", "--provider", "cpu")
    assert (status, said) == (0, bad)
    assert [each.name for each in readers.recognisers(schema.Text())] == ["ppocrv6_rec_small"]
    with pytest.raises(WeightsError, match="missing required field `licence`"):
        readers.recognisers(schema.Text(readers=("mine",)))
    for command in ("pull", "verify", "probe", "info"):
        forget()
        said = run(command, "mine")[2]
        assert said == f"error: {path}: Object missing required field `licence`\n"


def test_a_card_of_a_name_that_is_taken_is_left_out(own: Path) -> None:
    path = write(own, "vector")
    path.rename(own / "yunet.toml").write_text(
        path.with_name("yunet.toml").read_text().replace('"mine"', '"yunet"')
    )
    forget()
    assert "yunet is a model of Onlooker's; give yours another name" in run("list")[2]
    assert card.card("yunet").attribution.startswith("YuNet by Shiqi Yu")


def test_figures_that_were_appended_twice_are_told(own: Path) -> None:
    path = write(own, "vector")
    figures = run("probe", "mine")[1]
    path.write_text(path.read_text() + figures + figures)
    forget()
    assert "[[probe.expect]] is there twice for y: remove one of them" in run("verify", "mine")[2]


def test_what_is_wrong_with_one_model_does_not_hide_the_others(own: Path) -> None:
    write(own, "vector")
    run("pull", "mine")
    path = own / "mine.toml"
    path.write_text(path.read_text().replace("dim = 4", "dim = 5"))
    forget()
    status, out, _ = run("verify", "mine", "gender", "--provider", "cpu")
    assert status == 1
    first, second = out.splitlines()
    assert first.startswith("wrong  mine on cpu: mine: the model does not fit its card: ")
    assert second == "sound  gender on cpu fp32: as on its card"


@pytest.mark.parametrize("name", sorted(path.stem for path in card.CARDS.glob("*.toml")))
def test_onlookers_own_models_fit_their_cards(name: str) -> None:
    """By the shapes that their cards state; `test_verify` compares with the models themselves."""
    found = card.card(name)
    shapes = {each.output: each.shape for each in found.probe.expect}
    alphabet = {"latin": ALPHABET, "greek": "αβγδεζηθικλμνξοπρστυφχψω"}
    if isinstance(found.decode, card.Characters):
        letters = [*map(chr, range(0x61, 0x7B)), *alphabet["greek"]]
        letters += map(chr, [*range(0x430, 0x450), *range(0x4E00, 0x4E20), *range(0x3041, 0x3060)])
        letters += map(chr, range(0x621, 0x64B))
        assert fitness.misfit(found, shapes, {"character": "\n".join(letters)}) is None
    else:
        assert fitness.misfit(found, shapes, {}) is None


def test_a_template_of_the_mesh_has_its_stable_points() -> None:
    assert len(STABLE) == 20
