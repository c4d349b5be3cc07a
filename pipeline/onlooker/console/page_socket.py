"""The one socket of a page: events in short, and pictures of the streams that it shows.

A page says what it wants, as `{"events": ["streams"], "streams": {"door": "frames"}}`, as often as
it likes. It receives `{"event": "streams"}` when there is something new to fetch. The socket ends
with its session.
"""

import asyncio
from collections import deque
from contextlib import suppress
from typing import Annotated, Literal

import msgspec
from msgspec import Meta
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from onlooker.config.schema import SourceConfig
from onlooker.console import moments
from onlooker.console.console_context import ConsoleContext
from onlooker.console.guard import CLOSE_UNAUTHORISED
from onlooker.console.live_feed import LiveFeed
from onlooker.console.replayed_video import ReplayedVideo
from onlooker.console.sessions import Session
from onlooker.console.video_feed import VideoFeed
from onlooker.errors import OnlookerError
from onlooker.media.url import is_camera
from onlooker.record.log import visit_table
from onlooker.stream import live_pictures
from onlooker.types import UNREADABLE

MAX_PARTS = 100
"""Parts of videos that wait for a page; one that takes them too slowly misses some."""
VISITS_SECONDS = 1.0
"""Time between two questions to the log for new visits."""
SESSION_SECONDS = 0.5
"""Time between two checks whether the session still holds."""

Name = Annotated[str, Meta(max_length=128)]
MAX_STREAMS = 1000
"""Streams that a page may ask for."""


class Wanted(msgspec.Struct, frozen=True):
    """The wishes of a page."""

    events: tuple[str, ...] = ()
    streams: Annotated[
        dict[Name, Literal["frames", "video", "again"]], Meta(max_length=MAX_STREAMS)
    ] = {}
    """The streams that it shows: analysed frames as they come, a camera's video and the boxes over
    it, or once more the frames of a video that was analysed."""


async def serve(socket: WebSocket) -> None:
    """Serve one page until it leaves."""
    await socket.accept()
    page = Page(socket, socket.app.state.console, socket.app.state.live, socket.app.state.video)
    work = (page.tell_streams, page.tell_visits, page.send_frames, page.end_with_session)
    tasks = [asyncio.create_task(each()) for each in work]
    try:
        with suppress(WebSocketDisconnect):
            await page.listen()
            with suppress(RuntimeError):  # it is closed already
                await socket.close()
    finally:
        page.leave()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Page:
    """A page that is open in a browser."""

    def __init__(
        self, socket: WebSocket, context: ConsoleContext, live: LiveFeed, video: VideoFeed
    ) -> None:
        self._socket = socket
        self._context = context
        self._live = live
        self._video = video
        self._wanted = Wanted()
        self._frames: dict[str, bytes] = {}
        """The newest frame of each stream that was not sent yet."""
        self._parts: deque[tuple[str, bytes]] = deque()
        """Parts of videos, in order, that were not sent yet, each with its stream."""
        self._frame_came = asyncio.Event()
        self._replayed: dict[str, ReplayedVideo] = {}
        """By stream."""

    async def listen(self) -> None:
        """Take what the page says until it says nonsense. Raises WebSocketDisconnect."""
        decoder = msgspec.json.Decoder(Wanted)
        while True:
            try:
                self._wanted = decoder.decode(await self._socket.receive_text())
            except (KeyError, *UNREADABLE):  # KeyError: bytes instead of text
                return
            self._watch()

    def _watch(self) -> None:
        """Ask for what the page wants of the streams that run, and that its user sees by now."""
        session: Session = self._socket.scope["session"]
        feeds, topics = self._context.observer.feeds, set()
        videos: dict[str, SourceConfig] = {}
        again: set[str] = set()
        for name, kind in self._wanted.streams.items():
            if name not in feeds or not self._context.sees(session, name):
                continue
            if kind == "again":
                again.add(name)
                continue
            if kind == "video" and is_camera(feeds[name].source.url):
                videos[name] = feeds[name].source
            topics.add(live_pictures.topic(name, "record" if kind == "video" else "picture"))
        self._live.watch(self, topics)
        self._video.watch(self, videos)
        self._replay(again)

    def _replay(self, wanted: set[str]) -> None:
        """Show these videos again from their beginning, unless they are shown already."""
        for name in [each for each in self._replayed if each not in wanted]:
            self._replayed.pop(name).stop()
        for name in wanted - self._replayed.keys():
            if (source := moments.video_of(self._context, name)) is not None:
                self._replayed[name] = ReplayedVideo(self._context, name, source, self)

    def put_video(self, stream: str, message: bytes) -> bool:
        """Take a part of a video; return whether there was room for it."""
        if len(self._parts) >= MAX_PARTS:
            return False
        self._parts.append((stream, message))
        self._frame_came.set()
        return True

    def put_end(self, stream: str, message: bytes) -> None:
        """Take the end of a video, which the page must hear of: others make room for it."""
        if len(self._parts) >= MAX_PARTS:
            self._parts = deque(part for part in self._parts if part[0] != stream)
        self._parts.append((stream, message))
        self._frame_came.set()

    def put(self, stream: str, message: bytes) -> None:
        """Take the newest frame of a stream."""
        self._frames[stream] = message
        self._frame_came.set()

    async def send_frames(self) -> None:
        """Send frames, as fast as the page takes them: the newest of each stream."""
        while True:
            await self._frame_came.wait()
            self._frame_came.clear()
            while self._frames or self._parts:
                if self._parts:
                    _, message = self._parts.popleft()
                    await self._socket.send_bytes(message)
                if self._frames:
                    await self._socket.send_bytes(self._frames.pop(next(iter(self._frames))))

    def leave(self) -> None:
        """Receive no more frames."""
        self._live.watch(self, set())
        self._video.watch(self, {})
        self._replay(set())

    async def end_with_session(self) -> None:
        """Close the socket once its session is over, signed out, or its key has gone."""
        session: Session = self._socket.scope["session"]
        while self._context.sessions.read(session.cookie) is not None:
            await asyncio.sleep(SESSION_SECONDS)
        await self._socket.close(CLOSE_UNAUTHORISED)

    async def tell_streams(self) -> None:
        """Tell the page whenever the program was asked again."""
        while True:
            await self._context.observer.asked.wait()
            self._watch()
            await self._tell("streams")

    async def tell_visits(self) -> None:
        """Tell the page when there is news about visits."""
        before = -1
        while True:
            if "visits" in self._wanted.events:
                now = await asyncio.to_thread(self._newest)
                if before not in (-1, now):
                    await self._tell("visits")
                before = now
            await asyncio.sleep(VISITS_SECONDS)

    async def _tell(self, event: str) -> None:
        if event in self._wanted.events:
            await self._socket.send_text(msgspec.json.encode({"event": event}).decode())

    def _newest(self) -> int:
        """Return the position in the log of the newest event of a visit."""
        try:
            with self._context.log() as log:
                return 0 if log is None else log.ask(visit_table.newest)
        except OnlookerError:
            return 0


ROUTES = (WebSocketRoute("/socket", serve),)
