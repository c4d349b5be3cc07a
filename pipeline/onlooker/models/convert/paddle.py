"""PaddleOCR inference models: a user's own detector or recogniser, converted by paddle2onnx.

paddle2onnx runs in a process of its own: it prints, leaves files behind, and loads Paddle.
"""

import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import onnx
from onnx import helper

from onlooker.models.card import WeightsError

HOLDER = "PostProcess"
"""The part of inference.yml about the decoding of outputs."""
EXTRA = 'pip install "onlooker[paddle]"'
HINTS = {
    ".json": 'programs in JSON need version 2: pip install "paddle2onnx>=2.1"',
    ".pdmodel": 'old programs (.pdmodel) may need version 1: pip install "paddle2onnx==1.3.1"',
}
SCRIPT = """
import sys, paddle2onnx
paddle2onnx.export(*sys.argv[1:3], "model.onnx", opset_version=17)
"""


def convert(program: bytes, weights: bytes, characters: bytes = b"") -> onnx.ModelProto:
    """Return the model of a program and its weights, as Paddle saves them for inference.

    `characters` is a recogniser's dictionary, as `alphabet` takes it. The metadata gets it in the
    form of other recognisers' files. Raises WeightsError.
    """
    for package in ("paddle2onnx", "paddle", "yaml"):
        if importlib.util.find_spec(package) is None:
            raise WeightsError(f"{package} is not installed, which reads Paddle's files; {EXTRA}")
    known = alphabet(characters) if characters else []
    with tempfile.TemporaryDirectory(prefix="onlooker-") as folder:
        # From Paddle 3 on a program may be JSON.
        suffix = ".json" if program[:1] == b"{" else ".pdmodel"
        names = f"inference{suffix}", "inference.pdiparams"
        for name, data in zip(names, (program, weights), strict=True):
            (Path(folder) / name).write_bytes(data)
        command = [sys.executable, "-c", SCRIPT, *names]
        # Version 2 optimises with a tool that otherwise installs packages by itself.
        settings = {**os.environ, "POLYGRAPHY_AUTOINSTALL_DEPS": "0"}
        done = subprocess.run(command, cwd=folder, env=settings, capture_output=True, text=True)
        file = Path(folder) / "model.onnx"
        if done.returncode or not file.is_file() or not file.stat().st_size:
            lines = (done.stdout + done.stderr).strip().splitlines()
            printed = " | ".join([line for line in lines if "[ERROR]" in line] or lines[-4:])
            hint = HINTS[suffix]
            raise WeightsError(
                f"paddle2onnx cannot convert the model; {hint}. It printed: {printed}"
            )
        model = onnx.load(file)
    if characters:
        classes = model.graph.output[0].type.tensor_type.shape.dim[-1].dim_value
        # Class 0 is the blank, and the last one the space, which a dictionary need not have.
        if classes == len(known) + 1 and " " in known[-1:]:
            known.pop()
        if classes != len(known) + 2:
            raise WeightsError(
                f"the model has {classes} classes, which are not the {len(known)} characters of "
                "its dictionary, a blank and a space; give the dictionary that it was trained with"
            )
        helper.set_model_props(model, {"character": "\n".join(known)})
    return model


def alphabet(dictionary: bytes) -> list[str]:
    """Return the characters of a file with one a line, or of the inference.yml of Paddle.

    Raises WeightsError if it is neither.
    """
    try:
        text = dictionary.decode("utf-8")
    except UnicodeDecodeError as error:
        raise WeightsError(f"the dictionary is not in UTF-8: {error}; save it so") from error
    if HOLDER in text:  # no single character is as long
        return _described(text)
    # Not splitlines: to that, characters such as U+2028 end a line.
    return [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]


def _described(text: str) -> list[str]:
    import yaml  # with Paddle's extra

    try:
        # The base loader keeps 0, yes and ~ as the characters that they are.
        described = yaml.load(text, yaml.BaseLoader)
    except yaml.YAMLError as error:
        said = " ".join(str(error).split())
        raise WeightsError(f"inference.yml is no YAML: {said}; export the model again") from error
    holder = described.get(HOLDER) if isinstance(described, dict) else None
    found = holder.get("character_dict") if isinstance(holder, dict) else None
    if not found or not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise WeightsError(
            f"inference.yml has no list of characters at {HOLDER}.character_dict; "
            "give the dictionary, one character a line, with --characters"
        )
    return [character.rstrip("\r") for character in found]
