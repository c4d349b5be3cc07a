"""Cameras: connections that yield frames until they fail, and report the cause.

Every wait ends: libav's by its timeouts, and the process around it detects any other hang.
"""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import av
import av.error
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from msgspec.structs import replace

from onlooker.config.schema import SourceConfig
from onlooker.media.camera_health import JUMP_SECONDS, Clock, FreezeDetector
from onlooker.media.decode import TOLERANT, Upright, upright_size
from onlooker.media.errors import MediaError
from onlooker.media.open import frames
from onlooker.media.picture import Planes
from onlooker.media.sampling import Sampler, cropped
from onlooker.media.url import SYNTHETIC_SCHEME, is_camera, is_device, redacted
from onlooker.types import Frame

PROTOCOLS = "tcp,udp,rtp,rtsp,rtsps,srtp,http,https,httpproxy,tls,crypto,data"
"""Without local files: a playlist from the network cannot name one."""
CLOCK_HZ = 90_000
"""Units of `pts` per second."""


@dataclass(frozen=True, slots=True)
class CameraFrame:
    """A frame of a camera; it is `stale` if it came too late."""

    frame: Frame
    planes: Planes | None
    stale: bool
    captured: float = field(default_factory=time.monotonic)
    """When it arrived, by `time.monotonic()`."""


class Camera:
    """A camera that is reconnected as often as needed.

    stream: the name that the frames carry. `index` is that of the next frame.
    """

    def __init__(self, stream: str, source: SourceConfig) -> None:
        self.stream = stream
        self.source = source
        self.index = 0
        self.alive = time.monotonic()
        """Time of the last progress, by the monotonic clock; a failed attempt counts."""
        self.black = False
        """Whether the last image was black."""
        self._started = 0.0

    def connect(self) -> Iterator[CameraFrame]:
        """Connect, and yield frames. Raises MediaError, with the cause, when the connection ends.

        A video or folder that plays as a camera is played once; its end raises nothing.
        """
        self.alive = time.monotonic()
        if not is_camera(self.source.url):
            yield from self._played()
            return
        url, timeout = self.source.url, self.source.timeout
        try:
            with _open(self.source) as container:
                yield from self._received(container)
            raise MediaError(f"{redacted(url)}: the stream has ended")
        except (av.error.ExitError, av.error.TimeoutError) as error:
            raise MediaError(f"{redacted(url)}: no data for {timeout:g} s") from error
        except av.error.HTTPUnauthorizedError as error:
            raise MediaError(
                f"{redacted(url)}: the user name or password is wrong (401)"
            ) from error
        except (av.error.FFmpegError, OSError) as error:
            text = error.strerror or type(error).__name__
            raise MediaError(f"{redacted(url)}: {text}") from error
        finally:
            self.alive = time.monotonic()

    def _played(self) -> Iterator[CameraFrame]:
        epoch, started = os.urandom(16).hex(), 0.0
        # A video file may show one image for a minute; a synthetic video is checked as a camera.
        synthetic = self.source.url.startswith(SYNTHETIC_SCHEME)
        freeze = FreezeDetector(self.source.frozen_timeout) if synthetic else None
        fragment, fragment_pts = self.index, 0
        # Frames may be dropped later: only the source process knows which ones are unchanged.
        for frame, planes in frames(
            self.stream, replace(self.source, motion_threshold=None), epoch, 0
        ):
            started = started or time.time() - frame.time
            if frame.fragment == frame.index:
                fragment, fragment_pts = self.index, frame.pts
            self.alive = time.monotonic()
            if freeze is not None and planes is not None:
                freeze(planes, self.alive, self.source.url)
                self.black = freeze.black
            moved = replace(
                frame,
                index=self.index,
                fragment=fragment,
                fragment_pts=fragment_pts,
                started=started,
            )
            self.index += 1
            yield CameraFrame(moved, planes, stale=False)

    def _received(self, container: InputContainer) -> Iterator[CameraFrame]:
        streams = container.streams.video
        if not streams or streams[0].codec_context is None:
            raise MediaError(f"{redacted(self.source.url)}: no video in it")
        stream = streams[0]
        stream.codec_context.thread_count = 1
        upright, freeze = Upright(), FreezeDetector(self.source.frozen_timeout)
        # Only RTSP comes in real time: HLS comes in segments, and MJPEG has no time stamps.
        rtsp = self.source.url.lower().startswith("rtsp")
        stamped = stream.codec_context.name != "mjpeg"
        clock = Clock(self.source.max_delay if rtsp else None)
        sampler, began = Sampler(self.source), time.monotonic()
        epoch, fragment, fragment_pts = os.urandom(16).hex(), self.index, 0
        self._started = max(time.time(), self._started + 0.001)
        size, imaged = (0, 0), began
        for item in _decoded(container, stream):
            now = self.alive = time.monotonic()
            whole = isinstance(item, VideoFrame) and not item.is_corrupt
            if now - imaged > self.source.timeout:
                raise MediaError(
                    f"{redacted(self.source.url)}: data came, but no image for "
                    f"{self.source.timeout:g} s"
                )
            if item is None or (not size[0] and not whole):
                continue  # no frame can be decoded before the first key frame
            stamp = item.time if stamped and isinstance(item, VideoFrame) else None
            at, stale = clock(stamp, now - began)
            if not rtsp and at > now - began:
                time.sleep(min(at - (now - began), JUMP_SECONDS))
            if whole:
                imaged = now
            if not sampler(at):
                continue
            planes: Planes | None = None
            pts, origin = round(at * CLOCK_HZ), (0, 0)
            if isinstance(item, VideoFrame):
                size = upright_size(item)
                if item.key_frame and at > fragment_pts / CLOCK_HZ:
                    fragment, fragment_pts = self.index, pts
                if whole:
                    planes, origin = cropped(upright(item), self.source)
                    freeze(planes, now, redacted(self.source.url))
                    self.black = freeze.black
            error = None if planes is not None else "damaged: the image cannot be decoded"
            frame = Frame(
                stream=self.stream, epoch=epoch, index=self.index, pts=pts, time_base=(1, CLOCK_HZ),
                fragment=fragment, fragment_pts=fragment_pts, started=self._started,
                width=size[0], height=size[1], origin=origin, error=error,
            )  # fmt: skip
            self.index += 1
            yield CameraFrame(frame, planes, stale)


def _open(source: SourceConfig) -> InputContainer:
    scheme = source.url.partition("://")[0].lower()
    microseconds = str(round(source.timeout * 1e6))
    if is_device(source.url):
        options, form = {"use_wallclock_as_timestamps": "1"}, "v4l2"
    elif scheme in ("rtsp", "rtsps"):
        options = {"rtsp_transport": source.transport, "timeout": microseconds}
        form = None
    else:
        options, form = {"rw_timeout": microseconds, "user_agent": "onlooker"}, None
    if form is None:
        options["protocol_whitelist"] = PROTOCOLS
    container: InputContainer = av.open(
        source.url,
        format=form,
        options=options,
        timeout=(source.timeout, source.timeout),
        **TOLERANT,
    )
    return container


def _decoded(
    container: InputContainer, stream: VideoStream
) -> Iterator[VideoFrame | Exception | None]:
    """Yield frames, an error for each packet that the decoder refuses, and None for other data."""
    for packet in container.demux(stream):
        try:
            images = packet.decode()
        except av.error.FFmpegError as error:
            yield error
            continue
        yield from images
        if not images:
            yield None
