"""PaddleOCR inference models: a user's own detector or recogniser, through paddle2onnx.

paddle2onnx works in a process of its own: it prints, leaves files behind, and loads Paddle.
"""

import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import onnx
from onnx import helper

from onlooker.card import WeightsError

EXTRA = 'pip install "onlooker[paddle]"'
SCRIPT = """
import sys, paddle2onnx
paddle2onnx.export(*sys.argv[1:3], "model.onnx", opset_version=17)
"""


def convert(program: bytes, weights: bytes, characters: bytes = b"") -> onnx.ModelProto:
    """The model of a program and its weights, as Paddle saves them for inference.

    `characters`, one a line, are a recogniser's alphabet. It ends up in the metadata as the files
    of other recognisers have it.
    """
    for package in ("paddle2onnx", "paddle"):
        if importlib.util.find_spec(package) is None:
            raise WeightsError(f"{package} is not installed, which reads Paddle's files; {EXTRA}")
    with tempfile.TemporaryDirectory(prefix="onlooker-") as folder:
        # Since Paddle 3 a program may be JSON.
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
            said = " | ".join((done.stdout + done.stderr).strip().splitlines()[-4:])
            hint = ""
            if suffix == ".json":
                hint = '; programs in JSON need a newer one: pip install "paddle2onnx>=2.1"'
            raise WeightsError(f"paddle2onnx cannot convert the model{hint}. It said: {said}")
        model = onnx.load(file)
    if characters:
        alphabet = characters.decode("utf-8").splitlines()
        classes = model.graph.output[0].type.tensor_type.shape.dim[-1].dim_value
        # Class 0 is the blank, and the last one the space, which the file does not have.
        if classes == len(alphabet) + 1 and " " in alphabet[-1:]:
            alphabet.pop()
        if classes != len(alphabet) + 2:
            raise WeightsError(
                f"the model knows {classes} classes, which are not the {len(alphabet)} characters "
                "of its dictionary, a blank and a space; give the dictionary it was trained with"
            )
        helper.set_model_props(model, {"character": "\n".join(alphabet)})
    return model
