"""The code that the pages show: boto3 sends what it says."""

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from onlooker.config.serving import Serve
from onlooker.console.boto3_call import FILE, boto3_call

NAME = """a'b"c\\d\n.jpg"""


@pytest.fixture
def received() -> Iterator[tuple[int, list[tuple[str, Any]]]]:
    """The port of a server that answers {}, and the operations and bodies that it gets."""
    got: list[tuple[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            got.append((self.headers["X-Amz-Target"].partition(".")[2], body))
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1], got
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("operation", "fields"),
    [
        ("DetectFaces", {"Image": {"Bytes": FILE}, "Attributes": ["ALL"]}),
        ("DetectText", {"Image": {"Bytes": FILE}}),
        ("SearchFacesByImage", {"Image": {"Bytes": FILE}, "CollectionId": "staff"}),
        ("GetFaceDetection", {"JobId": "0" * 64}),
    ],
)
def test_boto3_sends_it(
    received: tuple[int, list[tuple[str, Any]]],
    operation: str,
    fields: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port, got = received
    monkeypatch.chdir(tmp_path)
    (tmp_path / NAME).write_bytes(b"image")
    file = NAME if "Image" in fields else ""
    exec(compile(boto3_call(Serve(port=port), operation, fields, file), "code", "exec"), {})
    image = {"Bytes": base64.b64encode(b"image").decode()}
    expected = {name: image if name == "Image" else value for name, value in fields.items()}
    assert got == [(operation, expected)]


def test_the_endpoint_is_that_of_the_configuration() -> None:
    own = boto3_call(Serve(host="::1", port=1, keys="keys.toml"), "DetectText", {})
    assert 'endpoint_url="http://[::1]:1"' in own
    assert "aws_access_key_id" not in own
    assert "https://" in boto3_call(Serve(certificate="c.pem"), "DetectText", {})
