"""Requests as clients, proxies and browsers of all kinds write them."""

import asyncio
import base64
import gzip
import json
import textwrap
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import pytest
from tests.support.api import context, respond
from tests.support.server import Running, answered
from tests.support.sockets import exchange

from onlooker.api.app import Server
from onlooker.config.schema import Config
from onlooker.config.serving import Serve

PAGE = "http://localhost:3000"
PREFLIGHT = {
    "Origin": PAGE,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,content-type,x-amz-date,x-amz-target",
}


@pytest.mark.parametrize("path", ["/", "//", "///", "/?", "/?x=1"])
def test_operations_are_at_the_root(server: Running, path: str) -> None:
    connection = server.connect()
    headers = {"X-Amz-Target": "RekognitionService.ListCollections"}
    connection.request("POST", path, b"{}", headers)
    assert "CollectionIds" in answered(connection).json
    connection.close()


@pytest.mark.parametrize("path", ["/rekognition", "/rekognition/", "/healthz", "/a//", "/%41"])
def test_another_path_is_refused_with_what_to_do(server: Running, path: str) -> None:
    connection = server.connect()
    headers = {"X-Amz-Target": "RekognitionService.ListCollections"}
    connection.request("POST", path, b"{}", headers)
    answer = answered(connection)
    connection.close()
    assert (answer.status, answer.error) == (400, "UnknownOperationException")
    assert "the endpoint that clients are given has no path" in answer.json["Message"]


@pytest.mark.parametrize("around", [" {} ", "\t{}", "{}\t ", "   {}   "])
def test_spaces_around_a_value_do_not_belong_to_it(server: Running, around: str) -> None:
    target = around.format("RekognitionService.ListCollections")
    head = f"POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Target:{target}\r\nConnection: close\r\n"
    answer = exchange(server, f"{head}Content-Length: 2\r\n\r\n{{}}".encode())
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"CollectionIds" in answer


@pytest.mark.parametrize("coding", ["gzip", "identity, gzip", "deflate", "aws-chunked", "br"])
def test_a_compressed_body_is_refused_with_what_to_do(server: Running, coding: str) -> None:
    answer = server.post(
        "ListCollections", gzip.compress(b"{}"), None, **{"Content-Encoding": coding}
    )
    assert (answer.status, answer.error) == (400, "SerializationException")
    assert f"'{coding}'" in answer.json["Message"]
    assert "send it uncompressed" in answer.json["Message"]
    assert (
        server.post("ListCollections", {}, None, **{"Content-Encoding": "Identity"}).status == 200
    )


def test_a_client_that_expects_to_be_asked_for_its_body_is(server: Running) -> None:
    head = (
        b"POST / HTTP/1.1\r\nHost: a\r\nX-Amz-Target: RekognitionService.ListCollections\r\n"
        b"Expect: 100-continue\r\nConnection: close\r\nContent-Length: 2\r\n\r\n"
    )
    response = exchange(server, head, 1, b"{}")
    assert response.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")


def lines(text: str, width: int, end: str) -> str:
    return end.join(textwrap.wrap(text, width)) + end


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n    ", "\t\n"])
@pytest.mark.parametrize("width", [64, 76])
def test_base64_may_be_broken_into_lines(server: Running, width: int, end: str) -> None:
    data = cv2.imencode(".png", np.full((90, 90, 3), 251, np.uint8))[1].tobytes()
    text = lines(base64.b64encode(data).decode(), width, end)
    body = json.dumps({"Image": {"Bytes": text}})
    for sent in (body, body.replace("/", "\\/")):
        assert server.post("DetectFaces", sent.encode()).json == {"FaceDetails": []}


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("data:image/png;base64,iVBORw0KGgo=", "of a data: URL, send what follows the comma"),
        ("_9j_4AAQSkZJRg==", "the alphabet for URLs, with - and _, is another one"),
        ("iVBORw0KGgo=\u00a0", "not base64"),
        ("iVBORw0KGgo=\x0b", "not base64"),
        ("iVBORw0KGgo", "a multiple of 4, filled up with ="),
    ],
)
def test_what_is_not_base64_is_refused_with_the_likely_cause(
    server: Running, text: str, hint: str
) -> None:
    answer = server.post("DetectFaces", {"Image": {"Bytes": text}})
    assert answer.error == "SerializationException"
    assert hint in answer.json["Message"]


@pytest.fixture
def cors() -> Iterator[Any]:
    """The application of a server whose settings name the page's origin."""
    server = Server(context(settings=Config(serve=Serve(cors_origins=(PAGE, "app://local")))), None)
    yield server.app()
    server.close()


@pytest.mark.parametrize("origin", [PAGE, "app://local"])
def test_a_page_of_a_named_origin_may_ask(cors: Any, origin: str) -> None:
    preflight = {**PREFLIGHT, "Origin": origin, "Access-Control-Request-Private-Network": "true"}
    status, headers, _ = asyncio.run(respond(cors, "OPTIONS", "/", preflight))
    assert status == 200
    assert headers["access-control-allow-origin"] == origin
    assert headers["access-control-allow-methods"] == "POST"
    assert headers["access-control-allow-headers"] == PREFLIGHT["Access-Control-Request-Headers"]
    assert headers["access-control-allow-private-network"] == "true"
    assert "access-control-allow-credentials" not in headers
    # An error, whose name and request id the page may read too.
    status, headers, body = asyncio.run(respond(cors, "POST", "/", {"Origin": origin}))
    assert (status, b"UnknownOperationException" in body) == (400, True)
    assert headers["access-control-allow-origin"] == origin
    exposed = headers["access-control-expose-headers"].lower().split(", ")
    assert {"x-amzn-requestid", "x-amzn-errortype"} <= {*exposed} & {*headers}


@pytest.mark.parametrize("origin", ["http://localhost:3001", "https://localhost:3000", "null"])
def test_a_page_of_another_origin_may_not(cors: Any, origin: str) -> None:
    status, headers, _ = asyncio.run(respond(cors, "OPTIONS", "/", {**PREFLIGHT, "Origin": origin}))
    assert status == 400
    assert "access-control-allow-origin" not in headers
    _, headers, _ = asyncio.run(respond(cors, "POST", "/", {"Origin": origin}))
    assert "access-control-allow-origin" not in headers


def test_no_page_may_ask_by_default() -> None:
    server = Server(context(), None)
    status, headers, body = asyncio.run(respond(server.app(), "OPTIONS", "/", PREFLIGHT))
    server.close()
    assert (status, b"[serve] cors_origins" in body) == (400, True)
    assert not any(name.startswith("access-control-") for name in headers)
