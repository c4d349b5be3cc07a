"""Recognisers for further languages: PaddleOCR's official ones, and Tesseract's.

PaddleOCR keeps its models in a folder of its own, to which it downloads them on first use. It needs
another OpenCV than Onlooker, so it may be installed for another Python, which then runs here as a
process.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from difflib import SequenceMatcher
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from onlooker.models import card as model_card
from onlooker.models import import_paddle, import_tesseract, own_models, session, weights
from onlooker.models.card import Card, WeightsError

LICENCE = "Apache-2.0"
"""Of all official models of PaddleOCR and of Tesseract."""
AUTHORS = "PP-OCRv5 by the PaddleOCR authors (Baidu)"


class Language(NamedTuple):
    """The names of a language's recognisers."""

    name: str
    paddle: str
    """Start of the official model's name."""
    tesseract: str
    card: str = ""
    """Onlooker's own card for it."""
    sample: str = ""
    """Lines to compare with PaddleOCR, separated by "|"."""


RUSSIAN = "Добро пожаловать|Скидка 50% до 15 января|СЪЕШЬ ЕЩЁ ЭТИХ ФРАНЦУЗСКИХ БУЛОК"
ARABIC = "ممنوع التدخين|أهلا وسهلا|مطار الملك خالد الدولي"
LANGUAGES = {
    "ar": Language("Arabic", "arabic", "ara", "tesseract_ara", ARABIC),
    "be": Language("Belarusian", "eslav", "bel", "", "Сардэчна запрашаем|Шчаслівай дарогі"),
    "bg": Language("Bulgarian", "cyrillic", "bul", "", "Добре дошли|Затворено в неделя"),
    "el": Language("Greek", "el", "ell", "", "Καλώς ήρθατε|Κλειστό την Κυριακή"),
    "fa": Language("Persian", "arabic", "fas", "", "خوش آمدید|سیگار کشیدن ممنوع"),
    "ru": Language("Russian", "eslav", "rus", "tesseract_rus", RUSSIAN),
    "sr": Language("Serbian", "cyrillic", "srp", "", "Добро дошли|Забрањено пушење"),
    "uk": Language("Ukrainian", "eslav", "ukr", "", "Ласкаво просимо|Щасливої дороги"),
    "ur": Language("Urdu", "arabic", "urd", "", "خوش آمدید|داخلہ ممنوع ہے"),
}

TESSDATA = (
    "/usr/share/tesseract-ocr/*/tessdata",
    "/usr/share/tessdata",
    "/usr/local/share/tessdata",
    "/opt/homebrew/share/tessdata",
)
"""Folders where packages install Tesseract's files; `$TESSDATA_PREFIX` comes before."""
MIN_AGREEMENT = 0.95
"""Minimum agreement of the characters with PaddleOCR's on the samples."""
TIMEOUT_SECONDS = 900.0

DOWNLOAD = """
import json, sys
from paddlex.inference.utils.official_models import official_models
print(json.dumps(str(official_models[sys.argv[1]])))
"""
READ = """
import json, sys
from pathlib import Path
from PIL import Image, ImageDraw, ImageFont
from paddleocr import TextRecognition
name, model, font, folder, *lines = sys.argv[1:]
letters = ImageFont.truetype(font, 28)
files = []
for number, line in enumerate(lines):
    wide = max(320, 8 * (int(letters.getlength(line)) // 8 + 3))
    drawn = Image.new("RGB", (wide, 48), "white")
    ImageDraw.Draw(drawn).text((8, 24), line, "black", letters, anchor="lm")
    files.append(str(Path(folder) / f"{number}.png"))
    drawn.save(files[-1])
read = TextRecognition(model_name=name, model_dir=model, device="cpu", enable_mkldnn=False)
print(json.dumps([result["rec_text"] for result in read.predict(files)]))
"""
FONTS = ("/usr/share/fonts", "/usr/local/share/fonts")
FONT = "DejaVuSans.ttf"


class Added(NamedTuple):
    """A language's model, and remarks for the user."""

    card: Card
    remarks: tuple[str, ...] = ()


def add(language: str, file: Path | None = None, python: str = sys.executable) -> Added:
    """Build a recogniser for `language` and return its card.

    file: a `.traineddata` file of Tesseract. Otherwise the sources are, in this order, PaddleOCR's
    folder of models, PaddleOCR's download with `python`, Onlooker's own card, and Tesseract's files
    on this machine. Raises WeightsError.
    """
    wanted = LANGUAGES.get(language.lower())
    if file is not None:
        name = f"tesseract_{file.name.split('.')[0].lower()}"
        return Added(import_tesseract.import_tesseract(file, _free(name), LICENCE))
    if wanted is None:
        known = ", ".join(f"{code} ({each.name})" for code, each in LANGUAGES.items())
        raise WeightsError(
            f"no recogniser is known here for the language {language!r}; known ones are {known}. "
            "Other languages of Tesseract can be added from their file: --from FILE.traineddata"
        )
    model = f"{wanted.paddle}_PP-OCRv5_mobile_rec"
    folder, remark = _official(model, python)
    if folder is not None:
        card = import_paddle.import_paddle(folder, model.lower(), None, LICENCE, AUTHORS)
        try:
            return Added(card, (compared(card, model, folder, wanted.sample, python),))
        except WeightsError:
            own_models.remove(card.name)
            raise
    if wanted.card:
        weights.pull([wanted.card])
        return Added(model_card.card(wanted.card), (remark,))
    installed = _installed(wanted.tesseract)
    if installed is None:
        raise WeightsError(
            f"{wanted.name}: {remark}, and this machine has no {wanted.tesseract}.traineddata of "
            f"Tesseract (Debian, Ubuntu: `apt install tesseract-ocr-{wanted.tesseract}`). "
            "Install one of the two and try again, or give a file with --from"
        )
    name = f"tesseract_{wanted.tesseract}"
    return Added(import_tesseract.import_tesseract(installed, name, LICENCE), (remark,))


def _free(name: str) -> str:
    """Return the name, marked if a card of Onlooker's has it."""
    try:
        own_models.check_name(name)
    except WeightsError:
        return f"{name}_own"
    return name


def _official(model: str, python: str) -> tuple[Path | None, str]:
    """Return the folder of PaddleOCR's official model, or None and the reason."""
    home = Path(os.environ.get("PADDLE_PDX_CACHE_HOME") or Path.home() / ".paddlex")
    folder = home / "official_models" / model
    if (folder / import_paddle.WEIGHTS).is_file():
        return folder, ""
    try:
        return Path(str(_run(python, DOWNLOAD, [model]))), ""
    except WeightsError as error:
        return None, f"PaddleOCR's {model} is not in {folder.parent} ({error})"


def _run(python: str, script: str, arguments: Sequence[str]) -> object:
    """Return what a script prints as JSON, in its last line. Raises WeightsError."""
    environment = {**os.environ, "PYTHONPATH": ""}
    try:
        done = subprocess.run(
            [python, "-c", script, *arguments],
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            env=environment,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise WeightsError(f"{python}: {error}") from error
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["no output"]
        raise WeightsError(f"{python}: {last[0]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def _installed(name: str) -> Path | None:
    prefix = os.environ.get("TESSDATA_PREFIX")
    folders = [Path(prefix)] if prefix else []
    for pattern in TESSDATA:
        folders += sorted(Path("/").glob(pattern.lstrip("/")), reverse=True)
    files = (folder / f"{name}.traineddata" for folder in folders)
    return next((file for file in files if file.is_file()), None)


def compared(card: Card, model: str, folder: Path, sample: str, python: str) -> str:
    """Return in words how the model agrees with PaddleOCR itself on lines that are drawn here.

    Raises WeightsError if they read differently.
    """
    fonts = (found for place in FONTS for found in Path(place).rglob(FONT))
    font = next(fonts, None)
    if font is None:
        return f"not compared with PaddleOCR: no {FONT} under {FONTS[0]} to draw lines with"
    with tempfile.TemporaryDirectory(prefix="onlooker-") as pictures:
        lines = sample.split("|")
        try:
            given = [model, str(folder), str(font), pictures, *lines]
            theirs = _run(python, READ, given)
        except WeightsError as error:
            return f"not compared with PaddleOCR itself: {error}"
        assert isinstance(theirs, list)
        ours = _read(card, [Path(pictures) / f"{n}.png" for n in range(len(lines))])
    # PaddleOCR turns the characters of Arabic lines round.
    agreement = [
        max(SequenceMatcher(None, each, str(other)).ratio() for each in (one, one[::-1]))
        for one, other in zip(ours, theirs, strict=True)
    ]
    if min(agreement) < MIN_AGREEMENT:
        raise WeightsError(
            f"{card.name} was converted, but does not read as PaddleOCR does: {ours}, not "
            f"{theirs}; please report it to us"
        )
    return f"reads {len(lines)} lines drawn here as PaddleOCR does: {', '.join(map(str, theirs))}"


def _read(card: Card, files: Sequence[Path]) -> list[str]:
    model = session.load(card.name, "cpu")
    alphabet = ["", *model.metadata["character"].split("\n")]
    place = model.outputs.index("idx")
    texts = []
    for file in files:
        picture = np.asarray(cv2.imread(str(file)), np.uint8)
        [best] = model([picture])[place][..., 0]
        changed = np.flatnonzero(np.diff(best, prepend=-1))
        texts.append("".join(alphabet[best[column]] for column in changed))
    return texts
