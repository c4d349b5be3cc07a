"""Import of Tesseract's own files: a card for a language's `.traineddata`."""

import os
from pathlib import Path

import msgspec

from onlooker.models import own_models, scripts
from onlooker.models.card import Card, WeightsError
from onlooker.models.convert import tesseract


def import_tesseract(file: Path, name: str, licence: str) -> Card:
    """Build the recogniser in `file`, store its card under `name` and return it.

    Raises WeightsError.
    """
    own_models.check_name(name)
    file = Path(os.path.realpath(file.expanduser()))
    own_models.check_file(file)
    try:
        data = file.read_bytes()
    except OSError as error:
        raise WeightsError(f"{file}: {error.strerror}") from error
    model = tesseract.convert(data)
    [alphabet] = (each.value for each in model.metadata_props if each.key == "character")
    archive, members = own_models.folder_archive(file.parent, [file.name])
    card = msgspec.convert(
        {
            "name": name,
            "task": "reads a line of text",
            "licence": licence,
            "attribution": f"Tesseract; imported from {file}",
            "trained_on": "not known",
            "optional": True,
            "archive": archive,
            "members": members,
            "build": {"format": "tesseract", "edits": ["ranked_with_space"], "vocabulary": "all"},
            "layout": "NCHW",
            "shape": [48, 0],
            "colour": "BGR",
            "mean": (0.0,) * 3,
            "scale": (1.0,) * 3,
            "decode": {"kind": "characters", "scripts": scripts.scripts_of(alphabet.split("\n"))},
            "run": {"provider": "cpu", "bfloat16": False},
            "probe": {"picture": "words", "size": [320, 48]},
        },
        Card,
        from_attributes=True,
    )
    return own_models.store(card)
