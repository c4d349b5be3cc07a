"""The Python code that makes a call of the API with boto3."""

import re
from collections.abc import Mapping
from typing import Any

from onlooker.config.serving import Serve

FILE = object()
"""Stands for the bytes of the image in the parameters."""


def boto3_call(serve: Serve, operation: str, fields: Mapping[str, Any], file: str = "") -> str:
    """Return the code of a call; parameters that are FILE are the bytes of `file`."""
    scheme = "https" if serve.certificate else "http"
    host = f"[{serve.host}]" if ":" in serve.host else serve.host
    options = [f'"{scheme}://{host}:{serve.port}"', 'region_name="us-east-1"']
    if serve.keys is None:  # boto3 signs in any case
        options += ['aws_access_key_id="any"', 'aws_secret_access_key="any"']
    given = ", ".join(f"{name}={_written(value)}" for name, value in fields.items())
    call = f"client.{_method(operation)}({given})"
    lines = [
        "import boto3",
        "",
        f'client = boto3.client("rekognition", endpoint_url={", ".join(options)})',
    ]
    if file:
        lines += [f'with open({file!r}, "rb") as file:', f"    answer = {call}"]
    else:
        lines.append(f"answer = {call}")
    return "\n".join(lines)


def _method(operation: str) -> str:
    """Return the name of a client's method: DetectFaces is `detect_faces`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", operation).lower()


def _written(value: Any) -> str:
    if value is FILE:
        return "file.read()"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name!r}: {_written(each)}" for name, each in value.items()) + "}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_written, value))}]"
    return repr(value)
