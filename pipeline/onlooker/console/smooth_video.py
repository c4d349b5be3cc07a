"""Video of a camera as it comes, for the browser's own player: H.264 in fragments of MP4.

The camera is connected to once more, by the console, while somebody watches. Packets are put into
another container and not decoded. Each fragment has the time at which its packet came, so that the
page can draw the boxes of records, which have such times too.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from onlooker.config.schema import SourceConfig
from onlooker.media.camera import open_camera
from onlooker.media.container import video_stream
from onlooker.media.errors import MediaError
from onlooker.media.url import redacted

MP4 = {"movflags": "frag_every_frame+empty_moov+default_base_moof", "flush_packets": "1"}
NOT_H264 = "the camera does not send H.264, which browsers can play"

logger = logging.getLogger(__name__)


class Fragment(NamedTuple):
    """A part of the video."""

    data: bytes
    key: bool
    """Whether it can be played without the fragments before it."""
    position: float
    """Seconds of the video at its start."""
    time: float
    """Epoch seconds at which its packet came."""


class Beginning(NamedTuple):
    """The part that comes before all fragments."""

    data: bytes
    codec: str
    """As a browser has it, such as "avc1.64001f"."""


class _Buffer:
    """A file that is taken away in pieces."""

    def __init__(self) -> None:
        self._data = bytearray()

    def write(self, data: bytes) -> int:
        self._data += data
        return len(data)

    def take(self) -> bytes:
        taken = bytes(self._data)
        self._data.clear()
        return taken


class SmoothVideo:
    """The video of one camera, read by a thread of its own from `start` until `stop`.

    on_part: receives the Beginning and then each Fragment. on_end: receives why there are no more,
    in words. Both are called in that thread.
    """

    def __init__(
        self,
        source: SourceConfig,
        on_part: Callable[[Beginning | Fragment], None],
        on_end: Callable[[str], None],
    ) -> None:
        self._source = source
        self._on_part = on_part
        self._on_end = on_end
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="smooth video", daemon=True)

    def start(self) -> None:
        """Start to read. From here on `on_part` and `on_end` are called."""
        self._thread.start()

    def stop(self) -> None:
        """Have the thread end; it may wait for the camera until then."""
        self._stop.set()

    def _run(self) -> None:
        name = redacted(self._source.url)
        try:
            with open_camera(self._source) as camera:
                stream = video_stream(camera, name)
                if stream.codec_context.name != "h264":
                    raise MediaError(NOT_H264)
                self._remux(camera, stream)
            cause = "the camera has ended the video"
        except MediaError as error:
            cause = str(error)
        except (av.error.FFmpegError, OSError) as error:
            # libav's own text has the whole URL, and with it the password.
            cause = f"{name}: {error.strerror or type(error).__name__}"
        except Exception as error:
            logger.exception("smooth video failed")
            cause = f"{name}: {type(error).__name__}"
        if not self._stop.is_set():
            self._on_end(cause)

    def _remux(self, camera: InputContainer, stream: VideoStream) -> None:
        """Pass packets on, from the first key frame. Raises what libav raises."""
        buffer = _Buffer()
        first: int | None = None
        before: tuple[bool, float, float] | None = None
        """Of the packet before: libav writes a packet when it knows its length, with the next."""
        with av.open(buffer, "w", format="mp4", options=MP4) as video:
            target = video.add_stream_from_template(stream)
            for packet in camera.demux(stream):
                if self._stop.is_set():
                    return
                if packet.dts is None or packet.pts is None or packet.time_base is None:
                    continue
                if first is None and not packet.is_keyframe:
                    continue  # nothing could be shown yet
                first = packet.dts if first is None else first
                packet.pts, packet.dts = packet.pts - first, packet.dts - first
                now = packet.is_keyframe, float(packet.dts * packet.time_base), time.time()
                packet.stream = target
                video.mux(packet)
                data = buffer.take()
                if data[4:8] == b"ftyp":
                    beginning, data = _parted(data)
                    self._on_part(Beginning(beginning, codec(beginning)))
                if data and before is not None:
                    self._on_part(Fragment(data, *before))
                before = now


def _parted(data: bytes) -> tuple[bytes, bytes]:
    """Return the beginning of an MP4 and the rest, which begins with a fragment or is empty."""
    place = data.find(b"moof")
    return (data, b"") if place < 0 else (data[: place - 4], data[place - 4 :])


def codec(beginning: bytes) -> str:
    """Return the codec that the beginning of an MP4 names, as a browser has it.

    Raises MediaError if it is not H.264.
    """
    place = beginning.find(b"avcC")
    if place < 0 or len(beginning) < place + 8:
        raise MediaError(NOT_H264)
    return f"avc1.{beginning[place + 5 : place + 8].hex()}"
