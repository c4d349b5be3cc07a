"""Frames of the program's streams, passed on to the pages that show them.

One subscription per stream, however many pages show it; none if no page does. Each page gets the
newest frame: one that it has not taken yet is replaced.
"""

import asyncio
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import msgspec
import zmq
import zmq.asyncio

from onlooker.console.console_context import ConsoleContext
from onlooker.console.overlay import Overlay, faces_of, lines_of
from onlooker.rekognition.shapes import RecordError, decode
from onlooker.stream import live_pictures
from onlooker.stream.live_pictures import Place

RUN_SECONDS = 0.5
"""Time between two checks whether there is a run yet, or another one."""


class Viewer(Protocol):
    """A page that shows streams."""

    def put(self, stream: str, message: bytes) -> None:
        """Take the newest frame of a stream."""


class LiveFeed:
    """The frames that pages want."""

    def __init__(self, context: ConsoleContext) -> None:
        self._console = context
        self._zmq = zmq.asyncio.Context()
        self._socket: zmq.asyncio.Socket | None = None
        self._run: Path | None = None
        self._viewers: dict[bytes, set[Viewer]] = defaultdict(set)
        """By topic."""

    def watch(self, viewer: Viewer, wanted: set[bytes]) -> None:
        """Have `viewer` receive the messages of these topics, and no others."""
        for topic, viewers in list(self._viewers.items()):
            if topic not in wanted and viewer in viewers:
                viewers.discard(viewer)
                if not viewers:
                    del self._viewers[topic]
                    self._set(zmq.UNSUBSCRIBE, topic)
        for topic in wanted:
            if topic not in self._viewers:
                self._set(zmq.SUBSCRIBE, topic)
            self._viewers[topic].add(viewer)

    def _set(self, option: int, topic: bytes) -> None:
        if self._socket is not None:
            self._socket.setsockopt(option, topic)

    async def follow(self) -> None:
        """Pass frames on until cancelled."""
        try:
            while True:
                run = self._console.observer.run
                if run is None:
                    await asyncio.sleep(RUN_SECONDS)
                    continue
                if run != self._run:
                    self._connect(run)
                assert self._socket is not None
                if await self._socket.poll(round(RUN_SECONDS * 1000)):
                    await self._pass_on(await self._socket.recv_multipart())
        finally:
            if self._socket is not None:
                self._socket.close(0)
            self._zmq.term()

    def _connect(self, run: Path) -> None:
        if self._socket is not None:
            self._socket.close(0)
        self._socket, self._run = self._zmq.socket(zmq.SUB), run
        self._socket.linger = 0
        self._socket.connect(live_pictures.endpoint(run))
        for topic in self._viewers:
            self._set(zmq.SUBSCRIBE, topic)

    async def _pass_on(self, parts: list[bytes]) -> None:
        topic, record, place, image = parts
        viewers = self._viewers.get(topic, ())
        if not viewers:
            return
        stream = topic.partition(b"\0")[0].decode()
        with suppress(RecordError, msgspec.DecodeError):
            header = await asyncio.to_thread(self._header, stream, record, place)
            message = packed(header, image)
            for viewer in list(viewers):
                viewer.put(stream, message)

    def _header(self, stream: str, body: bytes, place: bytes) -> bytes:
        record, where = decode(body), msgspec.json.decode(place, type=Place)
        overlay = Overlay(
            stream=stream,
            index=record.FrameInformation.Index,
            time=where.time,
            region=where.region,
            faces=faces_of(record, self._console.name_of),
            lines=lines_of(record),
            error=record.FrameInformation.Error,
        )
        return msgspec.json.encode(overlay)


def packed(header: bytes, image: bytes) -> bytes:
    """Return a message for a page: the header's length in 4 bytes, the header, the image."""
    return len(header).to_bytes(4, "big") + header + image
