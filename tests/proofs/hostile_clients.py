"""A server under a flood, slow clients and lies, beside which an ordinary client works on.

    python -m tests.proofs.hostile_clients --seconds 60 --clients 500

For each attack it prints the ordinary client's p99, beside that of quiet times, in which it is
alone, and of busy times, in which others send images as fast as they are answered; the responses to
the attackers; and the memory. The flood's clients send real requests, as boto3 does with its
standard retries. All addresses are this machine's. The process of the other clients has the lowest
priority (nice 19), because on another machine they would not use the server's cores.
"""

import argparse
import asyncio
import base64
import json
import os
import random
import re
import select
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from tests.support.server import Running, running

from onlooker.cli.demo_video import photographs

MAX_MEMORY_BYTES = 1 << 30
"""Bytes of memory that the server may use."""
RETRYABLE = {"ThrottlingException", "ProvisionedThroughputExceededException"}
FAULTS = {"InternalServerError", "given up", "500", "503"}
"""Results that no client may get, whatever it sends."""
HEAD = "POST / HTTP/1.1\r\nHost: a\r\nX-Amz-Target: RekognitionService.{}\r\nContent-Length: {}\r\n"
ATTEMPTS = 60
COLLEAGUES = 4
"""Clients that send images in busy times: more than two cores, so that no core is idle."""
ELSEWHERE = "127.0.0.2"
"""Address of the ordinary client; the others have the server's own address."""


class Address(NamedTuple):
    """Address of the server."""

    host: str
    port: int


class Took(NamedTuple):
    """Seconds of the ordinary client's requests, by operation."""

    p50: dict[str, float]
    p99: dict[str, float]


class Outcome(NamedTuple):
    """The experience of an ordinary client and of the hostile ones."""

    took: Took
    results: Counter[str]
    memory: int
    """Maximum bytes of the server's memory."""


def ordinary(host: str, port: int) -> None:
    """Print the seconds that each request of an ordinary client takes, until the input ends."""
    took: dict[str, list[float]] = {"ListCollections": [], "DetectFaces": []}
    portrait = cv2.imencode(".jpg", photographs().astronaut)[1].tobytes()
    image = json.dumps({"Image": {"Bytes": base64.b64encode(portrait).decode()}}).encode()
    bodies = {"ListCollections": b'{"MaxResults":10}', "DetectFaces": image}
    connection = HTTPConnection(host, port, timeout=60, source_address=(ELSEWHERE, 0))
    while not select.select([sys.stdin], [], [], 0.01)[0]:
        # Mostly the light operation, whose 99th percentile needs many.
        name = "DetectFaces" if len(took["ListCollections"]) % 10 == 9 else "ListCollections"
        for operation in dict.fromkeys([name, "ListCollections"]):
            began = time.perf_counter()
            headers = {"X-Amz-Target": f"RekognitionService.{operation}"}
            connection.request("POST", "/", bodies[operation], headers)
            answer = connection.getresponse()
            response = answer.read()
            took[operation].append(time.perf_counter() - began)
            assert answer.status == 200, response
    print(json.dumps(took))


Attack = Callable[[Address, float, int], Coroutine[None, None, Counter[str]]]


def watch(server: Running, attack: Attack | None, seconds: float, clients: int) -> Outcome:
    """Run an ordinary client beside others for so many seconds."""
    most = [0]
    address = [server.host, str(server.port)]
    client = subprocess.Popen(
        [sys.executable, "-m", "tests.proofs.hostile_clients", "--ordinary", *address],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    results: Counter[str] = Counter()
    command = [
        sys.executable,
        "-m",
        "tests.proofs.hostile_clients",
        "--seconds",
        str(seconds),
        "--clients",
        str(clients),
    ]
    if attack is not None:
        attacker = subprocess.Popen(
            [*command, "--attack", attack.__name__, *address], stdout=subprocess.PIPE
        )
    end = time.monotonic() + seconds
    while time.monotonic() < end or (attack is not None and attacker.poll() is None):
        most[0] = max(most[0], server.memory())
        time.sleep(0.2)
    if attack is not None:
        results.update(json.loads(attacker.communicate()[0]))
    took: dict[str, list[float]] = json.loads(client.communicate()[0])
    assert client.returncode == 0
    ordered = {name: sorted(seconds) for name, seconds in took.items()}
    return Outcome(
        Took(
            {name: one[len(one) // 2] for name, one in ordered.items()},
            {name: one[int(len(one) * 0.99)] for name, one in ordered.items()},
        ),
        results,
        most[0],
    )


async def busy(server: Address, seconds: float, clients: int) -> Counter[str]:
    """Not hostile: each client sends an image, waits for its answer, and sends the next."""
    end = time.monotonic() + seconds
    results: Counter[str] = Counter()
    request = _picture_request()

    async def one() -> None:
        while time.monotonic() < end:
            results[await _ask(server, request)] += 1

    await asyncio.gather(*(one() for _ in range(clients)))
    return results


async def slowloris(server: Address, seconds: float, clients: int) -> Counter[str]:
    """Send a byte per second, of the headers or of the body."""
    end = time.monotonic() + seconds
    results: Counter[str] = Counter()

    async def one(number: int) -> None:
        while time.monotonic() < end:
            head = HEAD.format("DetectFaces", 5_000_000)
            sent = (head + ("\r\n" if number % 2 else "X-A: ")).encode()
            try:
                reader, writer = await asyncio.open_connection(server.host, server.port)
                writer.write(sent)
                while time.monotonic() < end and not reader.at_eof():
                    writer.write(b"a")
                    await writer.drain()
                    await asyncio.sleep(1)
                writer.close()
                results["cut off"] += 1
            except ConnectionError:
                results["cut off"] += 1

    await asyncio.gather(*(one(number) for number in range(clients)))
    return results


async def lies(server: Address, seconds: float, clients: int) -> Counter[str]:
    """Send false lengths, deep JSON, large bodies of nothing, bodies that end early."""
    end = time.monotonic() + seconds
    results: Counter[str] = Counter()
    deep = b'{"Image":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    many = b'{"Unknown":[' + b"{}," * 1_000_000 + b"{}]}"

    async def one(number: int) -> None:
        chance = random.Random(number)
        while time.monotonic() < end:
            body = chance.choice((deep, many, b"{", bytes(7 << 20)))
            length = chance.choice((len(body), len(body) * 2, 1 << 40, len(body) // 2))
            try:
                reader, writer = await asyncio.open_connection(server.host, server.port)
                writer.write((HEAD.format("DetectFaces", length) + "\r\n").encode() + body)
                async with asyncio.timeout(3):
                    line = await reader.readline()
                results[line.decode().strip() or "closed"] += 1
                writer.close()
            except TimeoutError:  # the rest of the body is still waited for
                results["waits"] += 1
                writer.close()
            except ConnectionError:
                results["closed"] += 1

    await asyncio.gather(*(one(number) for number in range(clients)))
    return results


UPGRADES = (
    "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAA\r\n",
    "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
)
"""Offers of other protocols, which a server may decline."""
HEADS = (
    *UPGRADES,
    "Connection: close, upgrade\r\nUpgrade: " + "x" * 8000 + "\r\n",
    "Expect: 100-continue\r\n",
    "Expect: a miracle\r\n",
    "Content-Encoding: gzip\r\n",
    "Transfer-Encoding: gzip, chunked\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Origin: null\r\nAccess-Control-Request-Method: POST\r\n",
    "Authorization: AWS4-HMAC-SHA256 Credential=" + "/" * 5000 + "\r\n",
    "X-Amz-Content-SHA256: UNSIGNED-PAYLOAD\r\nX-Amz-Security-Token: \u00e0\r\n",
    "X-Amz-Target: RekognitionService.DeleteCollection\r\n",
    "Content-Length: 3\r\n",
    "".join(f"X-{number}: {'  '.join('ab')}\r\n" for number in range(900)),
    "X-Folded: a\r\n b\r\n",
    ": nameless\r\n",
    "",
)
"""Headers, or what passes for them."""
OPERATIONS = ("ListCollections", "DetectFaces", "IndexFaces", "Nothing")
METHODS = ("POST", "OPTIONS", "CONNECT", "PRI", "GET", "HEAD", "M-SEARCH", "post")
PATHS = (
    "/",
    "//" * 1000,
    "*",
    "/%00",
    "/%2F%2e",
    "/?X-Amz-Signature=0&" * 100,
    "http://a/",
    "a:80",
)
ODD_BODIES = (
    b"{}",
    b"",
    b"0\r\n\r\n",
    b"ffffffffffffffff\r\n",
    b'{"Image":{"Bytes":"' + b"\\n" * 400_000 + b'"}}',
    b'{"Image":{"Bytes":"' + b"AAA=" * 200_000 + b'"}}',
)


async def heads(server: Address, seconds: float, clients: int) -> Counter[str]:
    """Send offers of other protocols, odd headers, methods, paths and codings, several at a time.

    Every connection must be answered, closed, or be waiting for the rest of a body.
    """
    end = time.monotonic() + seconds
    results: Counter[str] = Counter()

    async def one(number: int) -> None:
        chance = random.Random(number)

        def request() -> bytes:
            if chance.random() < 0.25:  # odd, but sound: it is answered among the others
                head = HEAD.format("ListCollections", 2) + chance.choice(UPGRADES)
                return f"{head}\r\n{{}}".encode()
            method, path = chance.choice(METHODS), chance.choice(PATHS)
            # Mostly what a parser takes, so that what comes after it is reached.
            method, path = chance.choice([("POST", "/"), ("POST", "/"), (method, path)])
            head = f"{method} {path} HTTP/1.1\r\nHost: a\r\n" + chance.choice(HEADS)
            if chance.random() < 0.9:
                head += f"X-Amz-Target: RekognitionService.{chance.choice(OPERATIONS)}\r\n"
            body = chance.choice(ODD_BODIES)
            length = len(body) + chance.choice((0, 0, 0, -1, 1, 1 << 40))
            return f"{head}Content-Length: {length}\r\n\r\n".encode("latin-1") + body

        while time.monotonic() < end:
            sent = b"".join(request() for _ in range(chance.choice((1, 1, 2, 20))))
            response = b""
            try:
                reader, writer = await asyncio.open_connection(server.host, server.port)
                writer.write(sent)
                with suppress(TimeoutError):
                    while piece := await asyncio.wait_for(reader.read(65536), _patience(response)):
                        response += piece
                writer.close()
            except ConnectionError:
                results["closed"] += 1
            statuses = re.findall(rb"HTTP/1\.1 (\d+)", response)
            results.update(status.decode() for status in statuses or [b"none"])

    await asyncio.gather(*(one(number) for number in range(clients)))
    return results


def _patience(response: bytes) -> float:
    """Return seconds to wait for more: the rest of a body may be waited for on either side."""
    return 0.1 if response else 2.0


async def flood(server: Address, seconds: float, clients: int) -> Counter[str]:
    """Send images from all clients at once; each retries until it is answered.

    As boto3's standard retries do: after a random part of a pause that doubles, 20 s at most.
    """
    end = time.monotonic() + seconds
    results: Counter[str] = Counter()
    request = _picture_request()

    async def one(number: int) -> None:
        chance = random.Random(number)
        while time.monotonic() < end:
            for attempt in range(ATTEMPTS):
                name = await _ask(server, request)
                results[name] += 1
                if name not in (*RETRYABLE, "connection"):
                    break
                await asyncio.sleep(chance.random() * min(2.0**attempt, 20.0))
            else:
                results["given up"] += 1

    await asyncio.gather(*(one(number) for number in range(clients)))
    return results


def _picture_request() -> bytes:
    image = cv2.resize(np.random.default_rng(1).integers(0, 256, (12, 16, 3), np.uint8), (640, 480))
    data = base64.b64encode(cv2.imencode(".jpg", image)[1].tobytes()).decode()
    body = json.dumps({"Image": {"Bytes": data}}).encode()
    return (HEAD.format("DetectFaces", len(body)) + "\r\n").encode() + body


async def _ask(server: Address, request: bytes) -> str:
    try:
        reader, writer = await asyncio.open_connection(server.host, server.port)
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1])
            for line in head.splitlines()
            if line.lower().startswith(b"content-length")
        )
        response = json.loads(await reader.readexactly(length))
        writer.close()
    except (ConnectionError, asyncio.IncompleteReadError):
        return "connection"
    return str(response.get("__type", "answered"))


ATTACKS: dict[str, Attack] = {one.__name__: one for one in (slowloris, lies, heads, flood)}
OTHERS = {"busy": busy, **ATTACKS}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--clients", type=int, default=500)
    parser.add_argument("--only", choices=list(ATTACKS), help="one kind of hostility")
    parser.add_argument("--ordinary", nargs=2, metavar=("HOST", "PORT"), help="for itself")
    parser.add_argument("--attack", nargs=3, metavar=("NAME", "HOST", "PORT"), help="for itself")
    given = parser.parse_args()
    if given.ordinary:
        ordinary(given.ordinary[0], int(given.ordinary[1]))
        return
    if given.attack:
        os.nice(19)
        name, host, port = given.attack
        address = Address(host, int(port))
        print(json.dumps(asyncio.run(OTHERS[name](address, given.seconds, given.clients))))
        return
    failed = []
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as server:
        quiet = watch(server, None, min(20, given.seconds), 0)
        _show("quiet", quiet)
        usual = watch(server, busy, min(20, given.seconds), COLLEAGUES)
        _show("busy", usual, quiet=quiet)
        if set(usual.results) != {"answered"}:
            failed.append(f"busy: {usual.results}")
        for name, attack in ATTACKS.items():
            if given.only not in (None, name):
                continue
            clients = {"slowloris": 200, "lies": 16, "heads": 16}.get(name, given.clients)
            outcome = watch(server, attack, given.seconds, clients)
            _show(name, outcome, quiet=quiet, busy=usual)
            if outcome.memory > MAX_MEMORY_BYTES:
                failed.append(f"{name}: memory")
            if set(outcome.results) & FAULTS:
                failed.append(f"{name}: {outcome.results}")
            if name == "flood" and set(outcome.results) - RETRYABLE - {"answered", "connection"}:
                failed.append(f"{name}: an answer that cannot be retried")
        if len(server.workers()) != 1 or any(line["level"] == "error" for line in server.lines()):
            failed.append("a process died, or failed")
    if failed:
        sys.exit(f"FAILED: {'; '.join(failed)}")


def _show(name: str, outcome: Outcome, **usual: Outcome) -> None:
    for operation, p99 in outcome.took.p99.items():
        beside = "".join(
            f", x{p99 / other.took.p99[operation]:.1f} of {when}" for when, other in usual.items()
        )
        print(
            f"{name:10} {operation:15} p50 {outcome.took.p50[operation] * 1e3:6.1f} ms  "
            f"p99 {p99 * 1e3:6.1f} ms{beside}"
        )
    print(f"{name:10} {outcome.memory >> 20} MB  {dict(outcome.results)}", flush=True)


if __name__ == "__main__":
    main()
