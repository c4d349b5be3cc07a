"""Tesseract's networks as ONNX read what is drawn here, and what Tesseract itself reads."""

import gzip
import struct
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest
import tesserocr
from numpy.typing import NDArray
from PIL import Image
from tests.support.made_lines import ARABIC, RUSSIAN, crop_of, line_of

from onlooker.models import archive
from onlooker.models.card import WeightsError, card
from onlooker.models.convert import tesseract
from onlooker.vision import ctc


def data_of(name: str) -> bytes:
    """The traineddata file of a card."""
    found = card(name)
    return archive.read(found.archive, archive.fetch(found.archive), found.members[0])


@pytest.fixture(scope="module")
def arabic() -> bytes:
    return data_of("tesseract_ara")


class Reader:
    """The converted network, run as it is."""

    def __init__(self, data: bytes) -> None:
        model = tesseract.convert(data)
        [names] = (each.value for each in model.metadata_props if each.key == "character")
        self.alphabet = ["", *names.split("\n"), " "]
        self.session = onnxruntime.InferenceSession(model.SerializeToString())

    def __call__(self, picture: NDArray[np.uint8]) -> str:
        planes = picture.transpose(2, 0, 1)[None].astype(np.float32)
        [[found]] = self.session.run(None, {"x": planes})
        assert found.shape[1] == len(self.alphabet)
        np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-4)
        spaces = np.ascontiguousarray(found[:, -1])
        read = ctc.collapse(found.argmax(axis=1), found.max(axis=1), spaces)
        return "".join(self.alphabet[index] for index, *_ in read).strip()


@pytest.fixture(scope="module")
def read_arabic(arabic: bytes) -> Reader:
    return Reader(arabic)


def test_arabic_is_read_in_the_visual_order(read_arabic: Reader) -> None:
    for text in ARABIC[:3]:
        assert read_arabic(crop_of(text)) == text[::-1]
    assert read_arabic(crop_of(ARABIC[4])) == "0123456789 " + ARABIC[4].split()[0][::-1]


def test_light_text_on_a_dark_ground_and_lines_of_any_height_read_alike(
    read_arabic: Reader,
) -> None:
    for text in ARABIC[:3]:
        assert read_arabic(crop_of(text, ink=240, paper=30)) == text[::-1]
        crop = crop_of(text)
        twice = cv2.resize(crop, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
        assert read_arabic(np.asarray(twice)) == text[::-1]


def test_a_line_does_not_depend_on_the_others_of_its_batch(read_arabic: Reader) -> None:
    one, other = (crop_of(text)[:, :150] for text in RUSSIAN[:2])
    planes = np.stack([one, other]).transpose(0, 3, 1, 2).astype(np.float32)
    [both] = read_arabic.session.run(None, {"x": planes})
    for alone, together in zip(planes, both, strict=True):
        [[found]] = read_arabic.session.run(None, {"x": alone[None]})
        np.testing.assert_allclose(found, together, atol=1e-5)


def test_lines_read_as_tesseract_reads_them(tmp_path: Path) -> None:
    data = data_of("tesseract_rus")
    (tmp_path / "rus.traineddata").write_bytes(data)
    read = Reader(data)
    with tesserocr.PyTessBaseAPI(
        path=str(tmp_path), lang="rus", psm=tesserocr.PSM.RAW_LINE, oem=tesserocr.OEM.LSTM_ONLY
    ) as theirs:
        for text in RUSSIAN:
            for size in (24, 40):
                line = line_of(text, size, margin=4)
                theirs.SetImage(Image.fromarray(line))
                assert read(line) == theirs.GetUTF8Text().strip() == text


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda data: b"", "no traineddata file of Tesseract"),
        (lambda data: b"\x89PNG" + data, "no traineddata file of Tesseract"),
        (lambda data: data[:60_000], "no traineddata file of Tesseract|no class"),
        (lambda data: b"\x1f\x8bnonsense", "no traineddata file of Tesseract"),
        (lambda data: struct.pack("<iq", 1, 12) + data, "has no part 17"),
    ],
)
def test_what_is_no_such_file_is_refused(arabic: bytes, damage: object, said: str) -> None:
    whole = gzip.decompress(arabic)
    assert callable(damage)
    with pytest.raises(WeightsError, match=said):
        tesseract.convert(damage(whole))


def test_an_unknown_layer_is_named(arabic: bytes) -> None:
    whole = gzip.decompress(arabic)
    tanh, relu = (struct.pack("<bI4s", 0, 4, name) for name in (b"Tanh", b"Relu"))
    assert tanh in whole
    with pytest.raises(WeightsError, match="has a layer Series of Convolve of Relu, which is not"):
        tesseract.convert(whole.replace(tanh, relu))
