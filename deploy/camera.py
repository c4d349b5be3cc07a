"""A camera for trials: a video, played over and over as MJPEG over HTTP.

python deploy/camera.py make FOLDER     make the video of `onlooker demo`: FOLDER/video.mp4
python deploy/camera.py serve VIDEO     serve it at http://127.0.0.1:8089/video.mjpg
"""

import argparse
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av
import simplejpeg

PATH = "/video.mjpg"
BOUNDARY = "onlooker"
JPEG_QUALITY = 85
SEND_SECONDS = 10
"""Time after which a client that takes no data is disconnected."""


class CameraServer(ThreadingHTTPServer):
    """A camera that plays `video` to each client from its beginning, again and again."""

    daemon_threads = True

    def __init__(self, video: Path, host: str, port: int) -> None:
        self.video = video
        super().__init__((host, port), Client)


class Client(BaseHTTPRequestHandler):
    """A connection; the base class calls its methods by their names."""

    server: CameraServer
    timeout = SEND_SECONDS

    def do_GET(self) -> None:
        """Answer with images until the client leaves."""
        if self.path != PATH:
            self.send_error(404, f"the video is at {PATH}")
            return
        self.send_response(200)
        self.send_header("Content-Type", f"multipart/x-mixed-replace; boundary={BOUNDARY}")
        self.end_headers()
        try:
            while True:
                for image in paced(self.server.video):
                    head = f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\n"
                    self.wfile.write(f"{head}Content-Length: {len(image)}\r\n\r\n".encode())
                    self.wfile.write(image + b"\r\n")
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Log nothing: clients come and go."""


def paced(video: Path) -> Iterator[bytes]:
    """Yield the images of a video as JPEG, each at its time."""
    began = time.monotonic()
    with av.open(str(video)) as container:
        for frame in container.decode(video=0):
            if frame.time is None:
                continue
            time.sleep(max(0.0, began + frame.time - time.monotonic()))
            pixels = frame.to_ndarray(format="rgb24")
            yield simplejpeg.encode_jpeg(pixels, quality=JPEG_QUALITY, colorsubsampling="420")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="A camera for trials.")
    commands = parser.add_subparsers(required=True, dest="command")
    make = commands.add_parser("make", help="make the video of `onlooker demo`")
    make.add_argument("folder", type=Path)
    serve = commands.add_parser("serve", help="play a video as a camera")
    serve.add_argument("video", type=Path)
    serve.add_argument("--host", default="127.0.0.1")
    serve.add_argument("--port", type=int, default=8089)
    given = parser.parse_args()
    if given.command == "make":
        # Imported here: the camera itself needs no photographs.
        from onlooker.cli.demo_video import make_video

        make_video(given.folder)
        return
    # The video is opened once, so that a wrong path ends the program and not each connection.
    av.open(str(given.video)).close()
    with CameraServer(given.video, given.host, given.port) as server:
        print(f"http://{given.host}:{server.server_port}{PATH}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
