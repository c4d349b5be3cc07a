"""Deinterlacing: one whole image from the two fields of a frame, by libavfilter's bwdif."""

from collections import deque
from collections.abc import Iterator

import av.error
from av.filter.graph import Graph
from av.video.frame import VideoFrame

from onlooker.config.schema import Deinterlace


class Deinterlacer:
    """A filter of the frames of a stream, in the order in which they are shown.

    mode: with "auto" the frames that the video marks as interlaced are deinterlaced, with "on" all
    of them. The others are passed on. A frame keeps its time stamps and its duration.
    """

    def __init__(self, mode: Deinterlace) -> None:
        self._mode = mode
        self.used = False
        """Whether a frame was interlaced."""
        self._graph: Graph | None = None
        self._form: tuple[int, int, str] | None = None
        self._stamps = deque[tuple[int | None, int | None, int]]()
        """pts, dts and duration of the frames in the graph: the filter's time base is its own."""

    def __call__(self, frame: VideoFrame) -> Iterator[VideoFrame]:
        """Take a frame, and yield those that are ready: with the filter, the one before it."""
        if self._mode == "off" or (
            self._graph is None and self._mode == "auto" and not frame.interlaced_frame
        ):
            yield frame
            return
        form = frame.width, frame.height, frame.format.name
        if form != self._form:
            yield from self.flush()
            self.used = True
            self._graph, self._form = _graph(*form, every=self._mode == "on"), form
        assert self._graph is not None
        self._stamps.append((frame.pts, frame.dts, frame.duration))
        self._graph.vpush(frame)
        yield from self._ready()

    def flush(self) -> Iterator[VideoFrame]:
        """Yield the frames that the filter holds; the next frame starts it again."""
        if self._graph is not None:
            self._graph.vpush(None)
            yield from self._ready()
            self._stamps.clear()
            self._graph = self._form = None

    def _ready(self) -> Iterator[VideoFrame]:
        assert self._graph is not None
        while True:
            try:
                frame = self._graph.vpull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            frame.pts, frame.dts, frame.duration = self._stamps.popleft()
            yield frame


def _graph(width: int, height: int, form: str, *, every: bool) -> Graph:
    graph = Graph()
    graph.threads = 1
    buffer = graph.add("buffer", video_size=f"{width}x{height}", pix_fmt=form, time_base="1/90000")
    frames = "all" if every else "interlaced"
    bwdif = graph.add("bwdif", mode="send_frame", parity="auto", deint=frames)
    graph.link_nodes(buffer, bwdif, graph.add("buffersink")).configure()
    return graph
