"""SDKs of other languages and versions, unchanged, against a server that checks signatures."""

import base64
import hmac
import json
import shutil
import ssl
import sys
from datetime import UTC, datetime
from hashlib import sha256
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any

import cv2
import pytest
from tests.support import sdks
from tests.support.secured_server import CERTIFICATE, SECRETS
from tests.support.server import Running

from onlooker.cli.demo_video import photographs

SCRIPTS = Path(__file__).parent / "sdks"
SECRET = SECRETS["ADMIN"]


@pytest.fixture(scope="module")
def photograph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file of a portrait."""
    file = tmp_path_factory.mktemp("sdks") / "eileen.jpg"
    assert cv2.imwrite(str(file), photographs().astronaut)
    return file


def check(printed: str) -> None:
    """Check what each script prints: an indexed face was found, and an error has its name."""
    result = json.loads(printed)
    assert len(result.pop("request")) == 36
    assert result == {
        "indexed": 1,
        "name": "eileen",
        "detected": 1,
        "text": True,
        "error": "ResourceNotFoundException",
    }


@pytest.mark.parametrize("script", ["javascript_v2.cjs", "javascript_v3.mjs", "aws4fetch.mjs"])
def test_javascript(secured: Running, photograph: Path, script: str) -> None:
    environment = {
        "NODE_PATH": str(sdks.javascript()),
        "NODE_EXTRA_CA_CERTS": str(secured.log.parent / CERTIFICATE),
    }
    words = (secured.url, "ADMIN", SECRET, str(photograph))
    check(sdks.run(["node", str(SCRIPTS / script), *words], environment))


def test_aioboto3(secured: Running, photograph: Path) -> None:
    words = (secured.url, "ADMIN", SECRET, str(photograph), str(secured.log.parent / CERTIFICATE))
    script = str(SCRIPTS / "aioboto3_client.py")
    check(sdks.run([sys.executable, script, *words], {"PYTHONPATH": str(sdks.aioboto3())}))


def test_java_is_answered_by_http_1_1_on_one_connection(
    server: Running, photograph: Path, tmp_path: Path
) -> None:
    if shutil.which("java") is None:
        pytest.skip("java is not installed")
    body = json.dumps({"Image": {"Bytes": base64.b64encode(photograph.read_bytes()).decode()}})
    file = tmp_path / "request.json"
    file.write_text(body)
    expected = len(server.post("DetectFaces", body.encode()).body)
    printed = sdks.run([*sdks.JAVA, str(SCRIPTS / "Ask.java"), server.url, str(file)], {})
    assert printed.splitlines() == [f"200 {expected}"] * 4


def signed(names: tuple[str, ...], headers: dict[str, str], body: bytes) -> dict[str, str]:
    """Return `headers`, in lower case, with a signature of those in `names`.

    By the documentation of Signature Version 4 alone, with no SDK and nothing of Onlooker's.
    """
    day, scope = headers["x-amz-date"][:8], "us-east-1/rekognition/aws4_request"
    lines = "".join(f"{name}:{headers[name]}\n" for name in names)
    digest = sha256(body).hexdigest()
    canonical = f"POST\n/\n\n{lines}\n{';'.join(names)}\n{digest}"
    text = f"AWS4-HMAC-SHA256\n{headers['x-amz-date']}\n{day}/{scope}\n"
    text += sha256(canonical.encode()).hexdigest()
    key = f"AWS4{SECRET}".encode()
    for part in (day, *scope.split("/")):
        key = hmac.digest(key, part.encode(), "sha256")
    authorization = (
        f"AWS4-HMAC-SHA256 Credential=ADMIN/{day}/{scope}, SignedHeaders={';'.join(names)}, "
        f"Signature={hmac.digest(key, text.encode(), 'sha256').hex()}"
    )
    return {**headers, "authorization": authorization}


def post(server: Running, headers: dict[str, str], body: bytes) -> tuple[int, Any]:
    context = ssl.create_default_context(cafile=str(server.log.parent / CERTIFICATE))
    connection = HTTPSConnection(server.host, server.port, context=context, timeout=60)
    connection.request("POST", "/", body, headers)
    response = connection.getresponse()
    answer = json.loads(response.read())
    connection.close()
    return response.status, answer


PHP = {
    "host": "",
    "aws-sdk-invocation-id": "0a1b2c3d",
    "aws-sdk-retry": "0/0",
    "x-amz-target": "RekognitionService.ListCollections",
    "content-type": "application/x-amz-json-1.1",
    "user-agent": "aws-sdk-php/3.369.0 OS/Linux lang/php/8.4",
}
"""Headers of a request of the AWS SDK for PHP, which leaves the last two unsigned."""


@pytest.mark.parametrize(
    ("unsigned", "error"),
    [
        ((), ""),
        (("x-amz-target",), "InvalidSignatureException"),
        (("host",), "InvalidSignatureException"),
        (("x-amz-date",), "InvalidSignatureException"),
    ],
)
def test_a_request_signed_as_by_php(
    secured: Running, unsigned: tuple[str, ...], error: str
) -> None:
    date = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    headers = {**PHP, "host": f"{secured.host}:{secured.port}", "x-amz-date": date}
    names = sorted({*headers} - {"content-type", "user-agent", *unsigned})
    status, answer = post(secured, signed(tuple(names), headers, b"{}"), b"{}")
    assert (status, answer.get("__type", "")) == (400 if error else 200, error)
    assert all(name in answer["Message"] for name in unsigned)
    assert error or "CollectionIds" in answer
