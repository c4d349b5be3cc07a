"""Import of the user's own models: a card for an inference folder of PaddleOCR.

The card is written to `card.own_folder()`. The model is built from the folder that it names, as
others are from their archives, and is then used by its name: `[text] detector = "mine"`.
"""

import os
from pathlib import Path

import msgspec
import onnx

from onlooker.models import own_models, scripts
from onlooker.models.card import LINE_HEIGHT, Card, WeightsError
from onlooker.models.convert import paddle

PROGRAMS = ("inference.json", "inference.pdmodel")
WEIGHTS = "inference.pdiparams"
DESCRIPTION = "inference.yml"
"""The file with a recogniser's dictionary, if PaddleOCR 3 exported the model."""

# As in PaddleOCR: detectors take ImageNet's mean and deviation, recognisers -1 to 1.
NORMALISED = {
    "det": ((123.675, 116.28, 103.53), (0.0171247538, 0.0175070028, 0.0174291939)),
    "rec": ((127.5,) * 3, (1 / 127.5,) * 3),
}


def import_paddle(
    folder: Path, name: str, characters: Path | None, licence: str, authors: str = ""
) -> Card:
    """Build the model in `folder`, store its card under `name` and return it.

    characters: a recogniser's dictionary, one character a line, to use instead of the one in the
    folder's inference.yml, or if that has none. Raises WeightsError.
    """
    own_models.check_name(name)
    if characters is not None:
        own_models.check_file(characters)
    folder = Path(os.path.realpath(folder))
    program = next((each for each in PROGRAMS if (folder / each).is_file()), None)
    if program is None or not (folder / WEIGHTS).is_file():
        raise WeightsError(
            f"{folder}: no inference model of PaddleOCR; it must have {WEIGHTS} and one of "
            f"{', '.join(PROGRAMS)} (PaddleOCR's tools/export_model.py writes them)"
        )
    model = paddle.convert(*((folder / each).read_bytes() for each in (program, WEIGHTS)))
    kind = _kind(model, folder)
    files = [program, WEIGHTS]
    if kind == "rec":
        if characters is not None:
            files.append(os.path.realpath(characters))
        elif (folder / DESCRIPTION).is_file():
            files.append(DESCRIPTION)
        else:
            raise WeightsError(
                f"{folder}: it reads characters, but has no {DESCRIPTION} that lists them; "
                "give its dictionary, one character a line, with --characters"
            )
    card = _card(name, kind, folder, files, licence)
    if authors:
        card = msgspec.structs.replace(card, attribution=f"{authors}; {card.attribution}")
    return own_models.store(card)


def _kind(model: onnx.ModelProto, folder: Path) -> str:
    """Return "det" for a detector and "rec" for a recogniser, by the shape of its output."""
    sizes = [dim.dim_value for dim in model.graph.output[0].type.tensor_type.shape.dim]
    if len(sizes) == 4 and sizes[1] == 1:
        return "det"
    height = model.graph.input[0].type.tensor_type.shape.dim[2].dim_value
    if len(sizes) == 3 and height in (0, LINE_HEIGHT):
        return "rec"
    shown = " x ".join(str(size or "?") for size in sizes)
    raise WeightsError(
        f"{folder}: neither a DBNet detector nor a CTC recogniser of lines {LINE_HEIGHT} pixels "
        f"high: its input is {height or '?'} pixels high and its output {shown}"
    )


def _card(name: str, kind: str, folder: Path, files: list[str], licence: str) -> Card:
    archive, members = own_models.folder_archive(folder, files)
    reads = kind == "rec"
    decode: dict[str, object] = {"kind": "probability_map"}
    if reads:
        alphabet = paddle.alphabet((folder / files[-1]).read_bytes())
        decode = {"kind": "characters", "scripts": scripts.scripts_of(alphabet)}
    mean, scale = NORMALISED[kind]
    return msgspec.convert(
        {
            "name": name,
            "task": "reads a line of text" if reads else "finds text",
            "licence": licence,
            "attribution": f"imported from {folder}",
            "trained_on": "not known",
            "optional": True,
            "archive": archive,
            "members": members,
            "build": {"format": "paddle", "edits": ["ranked_with_space"], "vocabulary": "all"}
            if reads
            else {"format": "paddle"},
            "layout": "NCHW",
            "shape": [LINE_HEIGHT, 0] if reads else [0, 0],
            "multiple": 8 if reads else 32,
            "colour": "BGR",
            "mean": mean,
            "scale": scale,
            "decode": decode,
            "run": {"provider": "cpu", "bfloat16": True},
            "probe": {"picture": "words", "size": [320, LINE_HEIGHT]}
            if reads
            else {"picture": "digits", "size": [320, 192]},
        },
        Card,
        from_attributes=True,
    )
