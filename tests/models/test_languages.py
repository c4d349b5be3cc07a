"""Recognisers for further languages: from Tesseract's files, and from PaddleOCR's folder.

The path through PaddleOCR is run with a small network with random weights, exported here as
PaddleOCR 3 exports its own; it takes the extra `[paddle]`, and a Python with PaddleOCR.
"""

import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.models.convert.test_tesseract import data_of
from tests.models.test_import_paddle import needs_extra, paddleocr_python
from tests.support.made_lines import ENGLISH, RUSSIAN, crop_of, font
from typer.testing import CliRunner

from onlooker.cli.models import app
from onlooker.config.schema import Text
from onlooker.models import card, languages, readers
from onlooker.models.card import Characters, WeightsError
from onlooker.vision.text_readers import TextReaders


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty place for own cards, and no models of PaddleOCR."""
    monkeypatch.setenv("ONLOOKER_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("PADDLE_PDX_CACHE_HOME", str(tmp_path / "paddlex"))
    monkeypatch.delenv("TESSDATA_PREFIX", raising=False)
    card.cards.cache_clear()
    yield tmp_path / "data" / "models"
    monkeypatch.undo()
    card.cards.cache_clear()


NO_PYTHON = "/nowhere/python"


def test_every_language_names_two_recognisers_and_lines_to_compare() -> None:
    for code, each in languages.LANGUAGES.items():
        assert len(code) == 2
        assert len(each.tesseract) == 3
        assert all(each.sample.split("|"))
        assert not each.card or card.card(each.card).licence == languages.LICENCE


def test_without_paddleocr_it_is_our_own_card_and_the_remark_says_why() -> None:
    added = languages.add("ar", python=NO_PYTHON)
    assert added.card.name == "tesseract_ara"
    [remark] = added.remarks
    assert "arabic_PP-OCRv5_mobile_rec is not in" in remark
    assert NO_PYTHON in remark


def test_a_file_of_tesseract_on_the_machine_is_taken_and_read_with(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ukr.traineddata").write_bytes(data_of("tesseract_rus"))
    monkeypatch.setenv("TESSDATA_PREFIX", str(tmp_path))
    added = languages.add("uk", python=NO_PYTHON)
    assert added.card.name == "tesseract_ukr"
    assert isinstance(added.card.decode, Characters)
    assert added.card.decode.scripts == ("cyrillic",)
    assert [file.name for file in own.iterdir()] == ["tesseract_ukr.toml"]
    settings = Text(readers=("latin", "cyrillic"))
    # The user's own comes before an optional one of ours.
    assert [each.name for each in readers.recognisers(settings)][1] == "tesseract_ukr"
    [read] = TextReaders(settings, "cpu")([crop_of(RUSSIAN[0]).tobytes()])
    assert "".join(each.text for each in read).strip() == RUSSIAN[0]


def test_a_file_is_added_by_its_path_under_a_free_name(tmp_path: Path) -> None:
    file = tmp_path / "rus.traineddata"
    file.write_bytes(data_of("tesseract_rus"))
    said = CliRunner().invoke(app, ["add-language", "ru", "--from", str(file)])
    assert said.exit_code == 0, said.output
    assert "tesseract_rus_own (Apache-2.0) reads a line of text" in said.output
    assert 'readers = ["latin", "cyrillic"]' in said.output
    listed = CliRunner().invoke(app, ["list"], env={"COLUMNS": "200"}).output
    assert "scripts: cyrillic" in listed
    assert "text is read in these scripts: latin, greek" in listed


def test_two_own_readers_of_a_script_must_be_named(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.traineddata").write_bytes(data_of("tesseract_rus"))
        added = languages.add("ru", tmp_path / f"{name}.traineddata")
    assert readers.usual_name(added.card) == "tesseract_two"
    with pytest.raises(WeightsError, match="several models read cyrillic; name one of tesseract_o"):
        readers.recognisers(Text(readers=("cyrillic",)))


@pytest.mark.parametrize(
    ("language", "file", "said"),
    [
        ("xx", None, r"language 'xx'; known ones are ar \(Arabic\), .*--from FILE.traineddata"),
        ("uk", None, r"Ukrainian: PaddleOCR's eslav.* no ukr.traineddata .*apt install tess.*-ukr"),
        ("uk", "none.traineddata", "none.traineddata: No such file"),
        ("uk", "/dev/zero", "/dev/zero: not a regular file"),
        ("uk", "x" * 300 + ".traineddata", "x.traineddata: File name too long"),
        ("uk", "broken.traineddata", "no traineddata file of Tesseract"),
    ],
)
def test_what_is_not_there_is_an_error_that_says_what_to_do(
    language: str, file: str | None, said: str, own: Path, tmp_path: Path
) -> None:
    (tmp_path / "broken.traineddata").write_bytes(b"\x18\x00\x00\x00broken")
    with pytest.raises(WeightsError, match=said):
        languages.add(language, tmp_path / file if file else None, NO_PYTHON)
    assert list(own.glob("*")) == []


FAKE = """
class TextRecognition:
    def __init__(self, **settings): pass
    def predict(self, files): return [{"rec_text": text} for text in %r][: len(files)]
"""


def python_with(folder: Path, texts: list[str]) -> str:
    """A Python whose PaddleOCR reads `texts`."""
    folder.mkdir()
    (folder / "paddleocr.py").write_text(FAKE % texts, "utf-8")
    python = folder / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH={folder} exec {sys.executable} "$@"\n', "utf-8")
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    return str(python)


def test_a_model_that_reads_otherwise_than_paddleocr_is_refused(tmp_path: Path) -> None:
    """The lines are drawn and read for real; only the other's readings are made up."""
    font(20)
    found, lines = card.card("ppocrv6_rec_small"), "|".join(ENGLISH[:3])
    same = python_with(tmp_path / "same", lines.split("|"))
    said = languages.compared(found, "official", tmp_path, lines, same)
    assert said.startswith("reads 3 lines drawn here as PaddleOCR does: Mind the gap, ")
    other = python_with(tmp_path / "other", [*ENGLISH[:2], "Plat"])
    with pytest.raises(WeightsError, match="does not read as PaddleOCR does"):
        languages.compared(found, "official", tmp_path, lines, other)
    assert "not compared with PaddleOCR itself: /nowhere" in languages.compared(
        found, "official", tmp_path, lines, NO_PYTHON
    )


EXPORT = """
import sys
from pathlib import Path
import paddle, yaml

characters = [*"0123456789.,!?%-", *map(chr, range(0x410, 0x450)), *map(chr, range(65, 91))]

class Net(paddle.nn.Layer):
    def __init__(self):
        super().__init__()
        sizes = [(3, 16), (16, 32), (32, 64)]
        self.layers = paddle.nn.LayerList(
            [paddle.nn.Conv2D(a, b, 3, stride=2, padding=1) for a, b in sizes]
        )
        spread = paddle.nn.initializer.Normal(std=1.0)
        self.last = paddle.nn.Linear(64 * 6, len(characters) + 2, weight_attr=spread)

    def forward(self, x):
        for layer in self.layers:
            x = paddle.nn.functional.relu(layer(x))
        x = x.transpose([0, 3, 1, 2]).flatten(2)
        return paddle.nn.functional.softmax(self.last(x), axis=-1)

folder = Path(sys.argv[1])
paddle.seed(3)
net = Net()
net.eval()
spec = [paddle.static.InputSpec([None, 3, 48, None], "float32")]
paddle.jit.save(paddle.jit.to_static(net, input_spec=spec), str(folder / "inference"))
reads = {"DecodeImage": {"channel_first": False, "img_mode": "BGR"}}
resizes = {"RecResizeImg": {"image_shape": [3, 48, 320]}}
described = {
    "Global": {"model_name": folder.name},
    "PreProcess": {"transform_ops": [reads, resizes]},
    "PostProcess": {"name": "CTCLabelDecode", "character_dict": characters},
}
(folder / "inference.yml").write_text(yaml.dump(described, allow_unicode=True), "utf-8")
"""


@needs_extra
@pytest.mark.skipif(
    paddleocr_python() is None,
    reason="PaddleOCR is not installed; name a Python that has it in ONLOOKER_PADDLEOCR_PYTHON",
)
def test_a_model_in_paddleocrs_folder_is_converted_and_read_as_paddleocr_reads_it(
    own: Path, tmp_path: Path
) -> None:
    font(20)
    python = paddleocr_python()
    assert python is not None
    folder = tmp_path / "paddlex" / "official_models" / "eslav_PP-OCRv5_mobile_rec"
    folder.mkdir(parents=True)
    script = tmp_path / "export.py"  # Paddle traces the source
    script.write_text(EXPORT, "utf-8")
    subprocess.run([sys.executable, str(script), str(folder)], check=True, capture_output=True)
    assert shutil.which(python)
    added = languages.add("ru", python=python)
    assert added.card.name == "eslav_pp-ocrv5_mobile_rec"
    assert added.card.licence == "Apache-2.0"
    assert added.card.attribution.startswith("PP-OCRv5 by the PaddleOCR authors")
    assert isinstance(added.card.decode, Characters)
    assert added.card.decode.scripts == ("cyrillic", "latin")
    assert added.remarks[0].startswith("reads 3 lines drawn here as PaddleOCR does: ")
    assert [each.name for each in readers.recognisers(Text(readers=("cyrillic",)))] == [
        "eslav_pp-ocrv5_mobile_rec"
    ]
