"""The wheel `onlooker-models`: the built models as a package, for machines without a network.

It is made from the cards alone. The same cards give the same bytes: entries are sorted, and have
one date and one mode (PEP 427). Its version comes from the cards, too.
"""

import base64
import hashlib
import io
import zipfile
from collections.abc import Mapping, Sequence
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import msgspec

from onlooker import durable_file
from onlooker.models import archive, weights
from onlooker.models.card import REVISION, Card, WeightsError

PACKAGE = weights.PACKAGE
DATE = (2020, 1, 1, 0, 0, 0)
"""Of all entries: dates of files would make each build another file."""
MAX_BYTES = 100_000_000
"""Maximum size of the wheel: the usual limit of a package index."""

PHOTOGRAPHS = {
    "astronaut.png": "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
    "motorcycle_left.png": "db18e9c4157617403c3537a6ba355dfeafe9a7eabb6b9b94cb33f6525dd49179",
    "page.png": "341a6f0a61557662b02734a9b6e56ec33a915b2c41886b97509dedf2a43b47a3",
}
"""The photographs of `onlooker demo` in scikit-image, with their sha256."""

MIT = """\
Permission is hereby granted, free of charge, to any person obtaining a copy of this software and
associated documentation files (the "Software"), to deal in the Software without restriction,
including without limitation the rights to use, copy, modify, merge, publish, distribute,
sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial
portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT
NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND
NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES
OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN
CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""

METADATA = """\
Metadata-Version: 2.4
Name: onlooker-models
Version: {version}
Summary: The models of Onlooker, built from their cards.
License-Expression: {licences}
License-File: Apache-2.0.txt
License-File: MIT.txt
License-File: scikit-image.txt
Requires-Python: >=3.11

Install it beside onlooker, and nothing is fetched. The folder notices has the authors, the licence
and the origin of each model.
"""
WHEEL = """\
Wheel-Version: 1.0
Generator: onlooker
Root-Is-Purelib: true
Tag: py3-none-any
"""

NOTICE = """\
{card.name}: {card.task}

Licence: {card.licence}
Authors: {card.attribution}
Trained on: {card.trained_on}
Origin: {archive} ({card.archive.client}), sha256 {card.archive.sha256}
Changes: converted to ONNX by Onlooker ({card.build.format}); takes images as bytes.
"""


def version(cards: Sequence[Card]) -> str:
    """Return the version of a wheel with these models: it changes whenever a file in it would."""
    parts = [[_notice(card), card.file] for card in cards]
    digest = hashlib.sha256(msgspec.json.encode([parts, PHOTOGRAPHS, METADATA, MIT])).hexdigest()
    return f"{REVISION}.{int(digest[:8], 16)}"


def write(folder: Path, cards: Sequence[Card] | None = None) -> Path:
    """Write the wheel with the models of `cards` into `folder` and return its path.

    cards: None means all that are not optional. They are built first if they are missing. An equal
    wheel that is there already is left. Raises WeightsError, or Occupied if another file is there.
    """
    cards = sorted(weights.defaults() if cards is None else cards, key=lambda card: card.name)
    paths = weights.pull([card.name for card in cards])
    files = {f"{PACKAGE}/__init__.py": b'"""The models of Onlooker, built from their cards."""\n'}
    for card, path in zip(cards, paths, strict=True):
        files[f"{PACKAGE}/{card.file}"] = path.read_bytes()
        files[f"{PACKAGE}/notices/{card.name}.txt"] = _notice(card).encode()
    files |= {f"{PACKAGE}/photographs/{name}": data for name, data in _photographs().items()}
    number = version(cards)
    info = f"{PACKAGE}-{number}.dist-info"
    licences = " AND ".join(sorted({"BSD-3-Clause", *(card.licence for card in cards)}))
    files |= {
        f"{info}/METADATA": METADATA.format(version=number, licences=licences).encode(),
        f"{info}/WHEEL": WHEEL.encode(),
        f"{info}/licenses/Apache-2.0.txt": _licence("onlooker").encode(),
        f"{info}/licenses/MIT.txt": MIT.encode(),
        f"{info}/licenses/scikit-image.txt": _licence("scikit-image").encode(),
    }
    data = _pack(files, f"{info}/RECORD")
    if len(data) > MAX_BYTES:
        raise WeightsError(
            f"the wheel would have {len(data)} bytes, and an index takes {MAX_BYTES};"
            " make a model optional on its card"
        )
    wheel = folder / f"{PACKAGE}-{number}-py3-none-any.whl"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not durable_file.claim(wheel, lambda file: file.read() == data, "this wheel"):
            durable_file.write(wheel, data)
    except durable_file.Occupied:
        raise
    except OSError as error:
        raise WeightsError(f"{wheel}: {error.strerror}; name another folder") from error
    return wheel


def _notice(card: Card) -> str:
    return NOTICE.format(card=card, archive=archive.describe(card.archive))


def _photographs() -> dict[str, bytes]:
    package = find_spec("skimage")
    if package is None or package.origin is None:
        raise WeightsError('the demo needs scikit-image: pip install "onlooker[demo]"')
    folder = Path(package.origin).parent / "data"
    found = {name: (folder / name).read_bytes() for name in PHOTOGRAPHS}
    for name, data in found.items():
        if hashlib.sha256(data).hexdigest() != PHOTOGRAPHS[name]:
            raise WeightsError(
                f"{folder / name}: is not the photograph of the demo; install the version of"
                " scikit-image that constraints.txt names"
            )
    return found


def _licence(package: str) -> str:
    """Return the licence text that an installed package brings."""
    for file in metadata.files(package) or ():
        if file.stem == "LICENSE" and ".dist-info" in file.parts[0]:
            return file.read_text(encoding="utf-8")
    raise WeightsError(f"{package} is installed without its licence; install it again with pip")


def _pack(files: Mapping[str, bytes], record: str) -> bytes:
    """Return the wheel's bytes, with the record of `files` as its last entry."""
    lines = [f"{name},sha256={_digest(data)},{len(data)}" for name, data in sorted(files.items())]
    entries = [*sorted(files.items()), (record, "\n".join([*lines, f"{record},,", ""]).encode())]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, data in entries:
            entry = zipfile.ZipInfo(name, DATE)
            entry.external_attr = 0o100644 << 16
            entry.create_system = 3  # Unix, wherever it is built
            wheel.writestr(entry, data, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
