"""Cameras for tests: HTTP (MJPEG, MPEG-TS) and RTSP servers on loopback that fail on demand.

Each connection takes the next of `moods`; the last one stays:

    well        images without end
    brief       twenty images, and an orderly end
    reset       some images, and the connection is reset
    stall       some images, and then nothing, with the connection open
    garbage     some images, and then random bytes
    damaged     images of which every other one is damaged
    larger      images whose size changes half-way
    jumpy       time stamps that leap forward and back (RTSP)
    lossy       one packet in ten is lost on the way (RTSP)
    refused     401
    missing     404
"""

import base64
import contextlib
import itertools
import os
import random
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Self

import av
import cv2
import numpy as np
from numpy.typing import NDArray

FAILURE_AFTER = 6
"""Images before a connection fails."""


def image(number: int, width: int, height: int) -> NDArray[np.uint8]:
    """Return image `number` of a moving scene, with a camera's noise."""
    noise = np.random.default_rng(number).integers(0, 20, (height, width, 3), np.uint8)
    canvas = np.full((height, width, 3), 90, np.uint8)
    canvas += noise
    left = number * 7 % (width - 20)
    canvas[height // 4 : height // 2, left : left + 20] = 230
    return canvas


class Camera:
    """A server on a free port of loopback; every connection has a thread."""

    def __init__(self, *moods: str, fps: float = 25, size: tuple[int, int] = (160, 120)) -> None:
        self.moods = list(moods)
        self.fps = fps
        self.size = size
        self.connections = 0
        self.sent = 0
        """Images that were sent, over all connections."""
        self.given: list[str] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._server.close()

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                peer, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._converse, args=(peer,), daemon=True).start()

    def _converse(self, peer: socket.socket) -> None:
        with peer, contextlib.suppress(OSError):
            self.serve(peer)

    def mood(self) -> str:
        self.connections += 1
        chosen = self.moods.pop(0) if len(self.moods) > 1 else self.moods[0]
        self.given.append(chosen)
        return chosen

    def serve(self, peer: socket.socket) -> None:
        raise NotImplementedError

    def hang(self) -> None:
        self._over.wait(60)

    def numbers(self, mood: str) -> Iterator[int]:
        """Yield the numbers of images, at the camera's pace, until the connection fails."""
        for number in itertools.count():
            if self._over.is_set() or (mood == "brief" and number == 20):
                return
            if mood in ("reset", "stall", "garbage") and number == FAILURE_AFTER:
                return
            self.sent += 1
            yield number
            time.sleep(1 / self.fps)

    def end(self, mood: str, peer: socket.socket) -> None:
        if mood == "stall":
            self.hang()
        if mood == "garbage":
            peer.sendall(random.Random(0).randbytes(200_000))
        if mood in ("reset", "garbage"):
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class Http(Camera):
    """`url` is MJPEG, `ts` the same scene as MPEG-TS."""

    @property
    def url(self) -> str:
        return f"http://admin:geheim@127.0.0.1:{self.port}/video.mjpg?token=abc"

    @property
    def ts(self) -> str:
        return f"http://127.0.0.1:{self.port}/video.ts"

    def serve(self, peer: socket.socket) -> None:
        request = peer.recv(65536)
        mood = self.mood()
        if mood in ("refused", "missing"):
            status = {"refused": "401 Unauthorized", "missing": "404 Not Found"}[mood]
            peer.sendall(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())
            return
        send = self._ts if b".ts" in request.split(b"\r\n")[0] else self._mjpeg
        send(peer, mood)
        self.end(mood, peer)

    def _mjpeg(self, peer: socket.socket, mood: str) -> None:
        peer.sendall(
            b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=xx\r\n\r\n"
        )
        for number in self.numbers(mood):
            width, height = self.size
            if mood == "larger" and number >= FAILURE_AFTER:
                width, height = width * 2, height * 2
            data = cv2.imencode(".jpg", image(number, width, height))[1].tobytes()
            if mood == "damaged" and number % 2:
                data = data[:200] + bytes(len(data) - 200)
            head = f"--xx\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
            peer.sendall(head.encode() + data + b"\r\n")

    def _ts(self, peer: socket.socket, mood: str) -> None:
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\n\r\n")
        with av.open(_Sink(peer), "w", format="mpegts") as container:
            stream = container.add_stream("mpeg2video", rate=25)
            stream.width, stream.height = self.size
            stream.pix_fmt, stream.gop_size = "yuv420p", 5
            stream.time_base = Fraction(1, 90_000)
            for number in self.numbers(mood):
                frame = av.VideoFrame.from_ndarray(image(number, *self.size), format="bgr24")
                frame.pts, frame.time_base = number * 3600, stream.time_base
                container.mux(stream.encode(frame))


class _Sink:
    """A file to write to that is a socket."""

    def __init__(self, peer: socket.socket) -> None:
        self._peer = peer

    def write(self, data: bytes) -> int:
        self._peer.sendall(data)
        return len(data)


class Rtsp(Camera):
    """H.264 over RTSP, by UDP or interleaved in its TCP connection, as it is asked to;
    `rtsp://user:secret@` where asked for."""

    def __init__(self, *moods: str, password: str | None = None, **more: object) -> None:
        super().__init__(*moods, **more)  # type: ignore[arg-type]
        self.password = password

    @property
    def url(self) -> str:
        return f"rtsp://user:geheim@127.0.0.1:{self.port}/live"

    def serve(self, peer: socket.socket) -> None:
        with contextlib.ExitStack() as over:
            self._answer(peer, over)

    def _answer(self, peer: socket.socket, over: contextlib.ExitStack) -> None:
        lines, mood = peer.makefile("rb"), ""

        def interleave(data: bytes) -> None:
            peer.sendall(struct.pack(">BBH", 0x24, 0, len(data)) + data)

        send: Callable[[bytes], object] = interleave
        while request := lines.readline():
            headers: dict[str, str] = {}
            while (line := lines.readline().strip()) != b"":
                name, _, value = line.decode().partition(": ")
                headers[name.lower()] = value
            method = request.split()[0].decode()
            answer = [f"CSeq: {headers.get('cseq', '0')}", "Session: 7"]
            body, status = "", "200 OK"
            if self.password is not None and headers.get("authorization") != self._secret():
                status = "401 Unauthorized"
                answer.append('WWW-Authenticate: Basic realm="camera"')
            elif method == "OPTIONS":
                answer.append("Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN")
            elif method == "DESCRIBE":
                mood = self.mood()
                if mood in ("refused", "missing"):
                    status = {"refused": "401 Unauthorized", "missing": "404 Not Found"}[mood]
                body = (
                    "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\n"
                    "a=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1\r\n"
                    "a=control:track\r\n"
                )
                answer += ["Content-Type: application/sdp", f"Content-Length: {len(body)}"]
            elif method == "SETUP":
                if port := re.search(r"client_port=(\d+)", headers["transport"]):
                    datagrams = over.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                    datagrams.bind(("127.0.0.1", 0))
                    datagrams.connect(("127.0.0.1", int(port[1])))
                    send, own = datagrams.send, datagrams.getsockname()[1]
                    answer.append(
                        f"Transport: RTP/AVP/UDP;unicast;{port[0]}-{int(port[1]) + 1};"
                        f"server_port={own}-{own + 1}"
                    )
                else:
                    answer.append("Transport: RTP/AVP/TCP;unicast;interleaved=0-1")
            peer.sendall("\r\n".join([f"RTSP/1.0 {status}", *answer, "", body]).encode())
            if method == "PLAY":
                self._play(send, mood)
                self.end(mood, peer)
                return

    def _secret(self) -> str:
        return "Basic " + base64.b64encode(f"user:{self.password}".encode()).decode()

    def _play(self, send: Callable[[bytes], object], mood: str) -> None:
        encoder = _encoder(*self.size)
        counter, shift = 0, 0
        for number in self.numbers(mood):
            size = self.size
            if mood == "larger" and number >= FAILURE_AFTER:
                size = (size[0] * 2, size[1] * 2)
                encoder = _encoder(*size) if number == FAILURE_AFTER else encoder
            if mood == "jumpy" and number % 20 == 19:
                shift = random.Random(number).choice((0, 40, 3000)) * 90_000
            frame = av.VideoFrame.from_ndarray(image(number, *size), format="bgr24")
            frame.pts = number
            for packet in encoder.encode(frame):
                units = [unit for unit in bytes(packet).split(b"\0\0\1") if unit.strip(b"\0")]
                if mood == "damaged" and number % 10 == 7:
                    units = [unit[: len(unit) // 2] for unit in units]
                for place, unit in enumerate(units):
                    last = place == len(units) - 1
                    stamp = (number * 90_000 // int(self.fps) + shift) & 0xFFFFFFFF
                    for payload, mark in _payloads(unit.rstrip(b"\0"), last):
                        head = struct.pack(">BBHII", 0x80, 96 | mark << 7, counter, stamp, 7)
                        counter = counter + 1 & 0xFFFF
                        if not (mood == "lossy" and counter % 10 == 7):
                            send(head + payload)


def _payloads(unit: bytes, last: bool) -> Iterator[tuple[bytes, bool]]:
    """A NAL unit as RTP has it: in pieces where it is long (FU-A)."""
    if len(unit) < 1400:
        yield unit, last
        return
    kind, rest = unit[0], unit[1:]
    for at in range(0, len(rest), 1400):
        end = at + 1400 >= len(rest)
        header = (at == 0) << 7 | end << 6 | kind & 0x1F
        yield bytes([kind & 0xE0 | 28, header]) + rest[at : at + 1400], last and end


def _encoder(width: int, height: int) -> av.VideoCodecContext:
    encoder = av.CodecContext.create("libx264", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.time_base, encoder.gop_size = Fraction(1, 25), 5
    encoder.options = {"preset": "ultrafast", "tune": "zerolatency"}
    return encoder


def descriptors() -> int:
    """Files that this process has open."""
    return len(os.listdir("/proc/self/fd"))
