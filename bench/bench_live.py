"""Four cameras of 720p at 5 frames per second, faces and text on every frame: lag and drops.

    python -m bench.bench_live [--seconds 60] [--cameras 4] [--fps 5]

The cameras are HTTP servers in processes of their own, which send the demo's video as MJPEG. Lag is
the time from a frame's arrival to its record in the log; its 99th percentile is that of the worst
100 frames in a row after the start. Frames that the machine is too slow for are dropped and
counted. The table must add up.
"""

import argparse
import multiprocessing
import os
import signal
import socket
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

import cv2
from bench.support.machine import measured_with
from tests.support import cameras

from onlooker.cli.demo_video import make_video
from onlooker.config.schema import Config, SourceConfig
from onlooker.media.video_file import VideoFile
from onlooker.stream.cameras import serve
from onlooker.stream.hub_state import MAX_LAGS, MAX_WAITING
from onlooker.stream.messages import Counts, Status
from onlooker.stream.outputs import Outputs


class Scene(cameras.Http):
    """A camera that sends the given JPEGs."""

    def __init__(self, pictures: list[bytes], fps: float) -> None:
        super().__init__("well", fps=fps)
        self.pictures = pictures

    def serve(self, peer: socket.socket) -> None:
        peer.recv(65536)
        peer.sendall(
            b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=xx\r\n\r\n"
        )
        due = time.monotonic()
        while True:
            for data in self.pictures:
                head = f"--xx\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
                peer.sendall(head.encode() + data + b"\r\n")
                due += 1 / self.fps
                time.sleep(max(0.0, due - time.monotonic()))


def show(pictures: list[bytes], fps: float, number: int, told: Connection) -> None:
    scenes = [Scene(pictures, fps) for _ in range(number)]
    for scene in scenes:
        scene.__enter__()
    told.send([scene.url for scene in scenes])
    signal.pause()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--cameras", type=int, default=4)
    parser.add_argument("--fps", type=float, default=5)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        video, _ = make_video(Path(name))
        pictures: list[bytes] = []
        with VideoFile(video) as source:
            for _, planes in source.frames("video"):
                if planes is not None:
                    bgr, _ = planes.region(0, 0, planes.width, planes.height)
                    pictures.append(cv2.imencode(".jpg", bgr)[1].tobytes())
        heard, told = multiprocessing.Pipe(duplex=False)
        arguments = (pictures, asked.fps, asked.cameras, told)
        server = multiprocessing.get_context("spawn").Process(target=show, args=arguments)
        server.start()
        urls = heard.recv()
        streams = {f"camera{n}": SourceConfig(url=url, policy="live") for n, url in enumerate(urls)}
        began = 0.0
        before: dict[str, Counts] = {}
        slowest: dict[str, float] = {}

        def watch(status: Status) -> None:
            nonlocal began
            known = [stream.counts.done > 0 for stream in status.streams]
            if not began and known and all(known):
                began = time.monotonic()  # models have been loaded by now
                before.update((stream.name, stream.counts) for stream in status.streams)
            for stream in status.streams:
                if (
                    stream.counts.done - before.get(stream.name, stream.counts).done
                    > MAX_LAGS + MAX_WAITING
                ):
                    slowest[stream.name] = max(slowest.get(stream.name, 0.0), stream.lag[1])
            if began and time.monotonic() - began > asked.seconds:
                os.kill(os.getpid(), signal.SIGTERM)

        config = Config(streams=streams)
        status = serve(lambda: config, Outputs(log=Path(name) / "r.db"), watch)
        server.terminate()
        server.join()
    print(measured_with("onnxruntime-openvino", "opencv-python-headless", "av"))
    print(f"{asked.cameras} cameras, 1280x720, {asked.fps:g} frames per second")
    for stream in status.streams:
        counts = stream.counts
        start = before.get(stream.name, Counts())
        later = sum(counts.dropped.values()) - sum(start.dropped.values())
        fits = counts.received == counts.settled + stream.in_flight
        lag = stream.lag[0], slowest.get(stream.name, stream.lag[1])
        print(
            f"{stream.name}  received {counts.received}, analysed {counts.done}, "
            f"dropped {dict(counts.dropped)}, {later} of them after the start, "
            f"in flight {stream.in_flight}, adds up {fits}; "
            f"lag {lag[0]:.2f} s, 99 of 100 within {lag[1]:.2f} s"
        )


if __name__ == "__main__":
    main()
