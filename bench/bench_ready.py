"""`onlooker serve`: from its start to the first answer to DetectFaces.

Wall time, and the time of all cores that its processes have used by then, which other programs on
the machine change less.

    python -m bench.bench_ready [--rounds 5]
"""

import argparse
import base64
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from http.client import HTTPConnection
from pathlib import Path

import cv2
import numpy as np
import skimage.data
from bench.support.machine import measured_with

MAX_SECONDS = 120.0
PAUSE_SECONDS = 0.02
"""Between two attempts to connect."""


def request() -> bytes:
    """Return the body of a DetectFaces of one face."""
    rgb = skimage.data.astronaut()  # type: ignore[no-untyped-call]
    small = cv2.resize(np.asarray(rgb, np.uint8)[:, :, ::-1], (320, 320))
    data = cv2.imencode(".jpg", small)[1].tobytes()
    return json.dumps({"Image": {"Bytes": base64.b64encode(data).decode()}}).encode()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def first_answer(port: int, body: bytes, began: float) -> float:
    """Return the seconds until a request is answered. Raises TimeoutError after MAX_SECONDS."""
    headers = {
        "Content-Type": "application/x-amz-json-1.1",
        "X-Amz-Target": "RekognitionService.DetectFaces",
    }
    while time.perf_counter() < began + MAX_SECONDS:
        connection = HTTPConnection("127.0.0.1", port, timeout=MAX_SECONDS)
        try:
            connection.request("POST", "/", body, headers)
            answer = connection.getresponse()
            found = json.loads(answer.read())["FaceDetails"]
        except ConnectionError:
            time.sleep(PAUSE_SECONDS)
            continue
        finally:
            connection.close()
        assert len(found) == 1
        return time.perf_counter() - began
    raise TimeoutError(f"no answer within {MAX_SECONDS:.0f} s")


def core_seconds(process: int) -> float:
    """Return the time that a process and those it started have had on all cores."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    started = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    own = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return own + sum(map(core_seconds, map(int, started)))


def once(body: bytes) -> tuple[float, float]:
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "onlooker.toml")
        config.write_text("")
        program = "from onlooker.cli.main import main; main()"
        command = [sys.executable, "-c", program, "serve", "--port", str(port)]
        environment = {**os.environ, "ONLOOKER_DATA": folder, "ONLOOKER_CONFIG": str(config)}
        began = time.perf_counter()
        quiet = subprocess.DEVNULL
        with subprocess.Popen(command, env=environment, stdout=quiet, stderr=quiet) as server:
            try:
                wall = first_answer(port, body, began)
                used = core_seconds(server.pid)
            finally:
                server.send_signal(signal.SIGTERM)
    return wall, used


def main() -> None:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--rounds", type=int, default=5)
    chosen = arguments.parse_args()
    print(measured_with("onnxruntime-openvino"))
    body = request()
    for _ in range(chosen.rounds):
        wall, used = once(body)
        print(f"{wall:.2f} s, of all cores {used:.2f} s; load {os.getloadavg()[0]:.1f}", flush=True)


if __name__ == "__main__":
    main()
