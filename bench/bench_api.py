"""Speed of the server with boto3, beside the server that one would write first.

    python -m bench.bench_api [--seconds 4] [--clients 8]

Four operations through boto3, on a running server with one process and with two: the latency of one
client and the throughput of several. Beside it are the bare steps without a server, which show the
cost of HTTP, JSON, base64 and signatures, and a Flask server with RapidOCR and OpenCV's
FaceDetectorYN, each used as in its own example (`pip install "onlooker[bench]"`, and rapidocr).
All get the same image in one run, and the rows of the first table take turns. The image is
`--image`, or the photograph of an astronaut in scikit-image, enlarged to about 1 MB; it has a face
and text.

Everything is measured twice: with `[serve] thorough = false`, which makes one pass over an image,
as the naive server does, and with the default, which also finds small faces and small text and
takes several times as long.
"""

import argparse
import base64
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import boto3
import cv2
import msgspec
import numpy as np
from bench.support.machine import measured_with
from bench.support.published import yunet
from botocore.config import Config as Botocore
from rich.console import Console
from rich.table import Table

from onlooker.api.context import AnalyserPool, Context
from onlooker.api.rekognition import requests
from onlooker.api.rekognition.operations import OPERATIONS
from onlooker.cli.demo_video import photographs
from onlooker.config.schema import Config
from onlooker.identity.search.engines import open_searcher
from onlooker.media.buckets import NoBuckets
from onlooker.models import weights
from onlooker.models.card import WeightsError, space
from onlooker.vision import analyser
from onlooker.vision.analyser import Analyser

Ask = Callable[[], Any]
SIDE = 2600
"""Width and height in pixels: 1 MB as JPEG."""

NAIVE = """
import base64, sys, threading
import cv2, numpy as np
from flask import Flask, jsonify, request
from rapidocr import RapidOCR

app = Flask(__name__)
ocr = RapidOCR()
detector = cv2.FaceDetectorYN.create(sys.argv[1], "", (320, 320))
lock = threading.Lock()  # neither may be used by two requests at once

def picture():
    data = base64.b64decode(request.get_json(force=True)["Image"]["Bytes"])
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)

@app.post("/faces")
def faces():
    image = picture()
    with lock:
        detector.setInputSize((image.shape[1], image.shape[0]))
        _, found = detector.detect(image)
    return jsonify([] if found is None else found.tolist())

@app.post("/text")
def text():
    image = picture()
    with lock:
        found = ocr(image)
    return jsonify(list(found.txts or ()))

app.run("127.0.0.1", int(sys.argv[2]), threaded=True)
"""


@contextmanager
def served(folder: Path, workers: int, fast: bool) -> Iterator[str]:
    """Run `onlooker serve`; yield its URL."""
    out, settings = folder / f"out-{workers}.txt", folder / "onlooker.toml"
    settings.write_text(f"[serve]\nthorough = {str(not fast).lower()}\n")
    command = [sys.executable, "-m", "onlooker", "serve"]
    with open(out, "wb") as output:
        process = subprocess.Popen(
            [*command, "--port", "0", "--workers", str(workers), "--config", str(settings)],
            stdout=output,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "ONLOOKER_DATA": str(folder)},
        )
    try:
        while "listening at " not in out.read_text():
            if process.poll() is not None:
                sys.exit("the server does not start; see `onlooker serve`")
            time.sleep(0.1)
        yield out.read_text().split("listening at ")[1].split()[0]
    finally:
        process.terminate()
        process.wait()


@contextmanager
def naive(folder: Path) -> Iterator[int | None]:
    """Run the Flask server; yield its port, or None if it cannot be run."""
    missing = [name for name in ("flask", "rapidocr") if importlib.util.find_spec(name) is None]
    if missing:
        print(f"the naive server is left out: {' and '.join(missing)} missing; "
              'run `pip install "onlooker[bench]" rapidocr`')  # fmt: skip
        yield None
        return
    port, script, detector = 8699, folder / "naive.py", folder / "yunet.onnx"
    script.write_text(NAIVE)
    try:
        detector.write_bytes(yunet())
    except WeightsError as error:
        print(f"the naive server is left out: {error}")
        yield None
        return
    process = subprocess.Popen(
        [sys.executable, str(script), str(detector), str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(600):
            try:
                HTTPConnection("127.0.0.1", port).connect()
                break
            except ConnectionError:
                time.sleep(0.1)
        yield port
    finally:
        process.terminate()
        process.wait()


def posted(port: int, path: str, image: bytes) -> Ask:
    connection = HTTPConnection("127.0.0.1", port)

    def ask() -> Any:
        body = json.dumps({"Image": {"Bytes": base64.b64encode(image).decode()}})
        connection.request("POST", path, body, {"Content-Type": "application/json"})
        return json.loads(connection.getresponse().read())

    return ask


def plain(url: str, operation: str, image: bytes) -> Ask:
    """Return a request that was prepared once, without boto3: it measures the server's part."""
    connection = HTTPConnection(url.rpartition("/")[2])
    body = json.dumps({"Image": {"Bytes": base64.b64encode(image).decode()}}).encode()

    def ask() -> Any:
        connection.request("POST", "/", body, {"X-Amz-Target": f"RekognitionService.{operation}"})
        return json.loads(connection.getresponse().read())

    return ask


def client(url: str) -> Any:
    return boto3.client(
        "rekognition",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="BENCH",
        aws_secret_access_key="any",
        config=Botocore(retries={"mode": "standard", "total_max_attempts": 10}),
    )


def operations(asked: Any, collection: str, face: bytes, text: bytes) -> dict[str, Ask]:
    """Return the operations to measure."""
    image = {"Bytes": face}
    return {
        "DetectFaces": lambda: asked.detect_faces(Image=image),
        "DetectText": lambda: asked.detect_text(Image={"Bytes": text}),
        "IndexFaces": lambda: asked.index_faces(CollectionId=collection, Image=image),
        "SearchFacesByImage": lambda: asked.search_faces_by_image(
            CollectionId=collection, Image=image
        ),
    }


def bare(folder: Path, face: bytes, text: bytes, fast: bool) -> dict[str, Ask]:
    """Return the steps alone, from the image's bytes to the response's structure."""
    cv2.setNumThreads(1)  # as in the server
    settings = Config() if fast else Config().with_thorough_detection()
    searcher = open_searcher(folder / "bare.db", space(settings.faces.embedder))
    context = Context(settings, searcher, NoBuckets(), AnalyserPool([Analyser(settings)]))

    def image(data: bytes) -> requests.Image:
        return requests.Image(Bytes=msgspec.Raw(b'"' + base64.b64encode(data) + b'"'))

    one, other = image(face), image(text)
    return {
        "DetectFaces": lambda: OPERATIONS["DetectFaces"].run(
            requests.DetectFaces(Image=one), context
        ),
        "DetectText": lambda: OPERATIONS["DetectText"].run(
            requests.DetectText(Image=other), context
        ),
    }


def latency(asks: dict[str, Ask], seconds: float) -> dict[str, list[float]]:
    """Return the sorted seconds of each, which take turns."""
    took: dict[str, list[float]] = {name: [] for name in asks}
    for ask in asks.values():
        ask()
    end = time.monotonic() + seconds
    while asks and time.monotonic() < end:
        for name, ask in asks.items():
            began = time.perf_counter()
            ask()
            took[name].append(time.perf_counter() - began)
    return {name: sorted(each) for name, each in took.items()}


def throughput(make: Callable[[], Ask], clients: int, seconds: float) -> float:
    """Return the answers per second to `clients` clients."""
    asks = [make() for _ in range(clients)]
    for ask in asks:
        ask()
    began = time.monotonic()

    def work(ask: Ask) -> int:
        done = 0
        while time.monotonic() < began + seconds:
            ask()
            done += 1
        return done

    with ThreadPoolExecutor(clients) as pool:
        done = sum(pool.map(work, asks))
    return done / (time.monotonic() - began)


def cell(took: list[float]) -> str:
    return f"{took[len(took) // 2] * 1e3:.1f} / {took[int(len(took) * 0.99)] * 1e3:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=4, help="of each measurement")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--image", type=Path, help="JPEG with one face")
    parser.add_argument("--text", type=Path, help="JPEG with text")
    given = parser.parse_args()
    console = Console()
    weights.pull(analyser.cards(Config().with_thorough_detection(), analyser.ALL))
    enlarged = cv2.resize(photographs().astronaut, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    shown = cv2.imencode(".jpg", enlarged)[1].tobytes()
    face = given.image.read_bytes() if given.image else shown
    text = given.text.read_bytes() if given.text else face
    console.print(measured_with("onnxruntime-openvino", "opencv-python-headless", "boto3"))
    console.print(f"images of {len(face)} and {len(text)} bytes")
    with tempfile.TemporaryDirectory() as name, naive(Path(name)) as port:
        for fast in (True, False):
            folder = Path(name) / ("fast" if fast else "thorough")
            folder.mkdir()
            console.print(f"\n[serve] thorough = {str(not fast).lower()}", markup=False)
            measure(console, folder, port, face, text, given, fast)


def measure(
    console: Console,
    folder: Path,
    port: int | None,
    face: bytes,
    text: bytes,
    given: argparse.Namespace,
    fast: bool,
) -> None:
    table = Table(title="one client: ms, p50 / p99", title_justify="left")
    rates = Table(title=f"{given.clients} clients: answers a second", title_justify="left")
    names = list(operations(None, "", face, text))
    for one in (table, rates):
        one.add_column("")
        for column in names:
            one.add_column(column, justify="right")
    with served(folder, 1, fast) as url:
        asked = client(url)
        asked.create_collection(CollectionId="bench")
        over_http = operations(asked, "bench", face, text)
        steps = {f"bare {k}": v for k, v in bare(folder, face, text, fast).items()}
        other = {
            "plain DetectFaces": plain(url, "DetectFaces", face),
            "plain DetectText": plain(url, "DetectText", text),
        }
        if port is not None:
            other["naive DetectFaces"] = posted(port, "/faces", face)
            other["naive DetectText"] = posted(port, "/text", text)
        took: dict[str, list[float]] = {}
        for each in names:
            # In turns, except the naive server, which is so slow that few rounds would be left.
            asks = {**over_http, **steps, **other}
            same = {name: ask for name, ask in asks.items() if name.rpartition(" ")[2] == each}
            slow = {name: same.pop(name) for name in list(same) if name.startswith("naive")}
            took |= latency(same, given.seconds * 2) | latency(slow, given.seconds)
        table.add_row("onlooker, boto3", *(cell(took[each]) for each in names))
        rows = {"plain": "onlooker, http.client", "bare": "bare steps", "naive": "naive"}
        for kind, title in rows.items():
            cells = [took.get(f"{kind} {each}") for each in names]
            table.add_row(title, *(cell(each) if each else "" for each in cells))
        one_worker = rate(url, names, face, text, given)
    with served(folder, 2, fast) as url:
        two_workers = rate(url, names, face, text, given)
    peer: dict[str, float] = {}
    if port is not None:
        for each, path, data in (
            ("DetectFaces", "/faces", face),
            ("DetectText", "/text", text),
        ):
            peer[each] = throughput(
                lambda path=path, data=data: posted(port, path, data),  # type: ignore[misc]
                given.clients,
                given.seconds,
            )
    for row, found in (
        ("onlooker, 1 process", one_worker),
        ("onlooker, 2 processes", two_workers),
        ("naive", peer),
    ):
        rates.add_row(row, *(f"{found[each]:.1f}" if each in found else "" for each in names))
    if peer:
        best = {each: max(one_worker[each], two_workers[each]) / peer[each] for each in peer}
        rates.add_row("ratio", *(f"x{best[each]:.1f}" if each in best else "" for each in names))
    console.print(table)
    console.print(rates)
    for each in ("DetectFaces", "DetectText"):
        bare_steps = np.median(took[f"bare {each}"])
        http, boto = (
            (np.median(some) - bare_steps) * 1e3 for some in (took[f"plain {each}"], took[each])
        )
        console.print(
            f"{each}: HTTP and the server add {http:.1f} ms to the bare steps; boto3 {boto:.1f}"
        )


def rate(
    url: str, names: list[str], face: bytes, text: bytes, given: argparse.Namespace
) -> dict[str, float]:
    """Return the answers per second of each operation."""
    return {
        name: throughput(
            lambda name=name: operations(client(url), "bench", face, text)[name],  # type: ignore[misc]
            given.clients,
            given.seconds,
        )
        for name in names
    }


if __name__ == "__main__":
    main()
