"""Cameras: connected to again and again, watched, and never trusted.

A connection gives frames until something is wrong, and then says what. Every wait has an end:
libav's by its time-outs, and what hangs all the same is seen by the process around it.
"""

import math
import os
import time
import zlib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

import av
import av.error
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from msgspec.structs import replace

from onlooker.config.schema import SourceConfig
from onlooker.media.decode import TOLERANT, Upright, upright_size
from onlooker.media.errors import MediaError
from onlooker.media.open import frames
from onlooker.media.picture import Planes
from onlooker.media.sampling import Sampler, cropped
from onlooker.media.url import SYNTHETIC_SCHEME, is_camera, is_device, redacted
from onlooker.types import Frame

PROTOCOLS = "tcp,udp,rtp,rtsp,rtsps,srtp,http,https,httpproxy,tls,crypto,data"
"""Local files are none: a playlist from the network cannot name one."""
CLOCK = 90_000
"""Units of `pts` in a second."""
JUMP = 5.0
"""Seconds that a camera's time stamps may be off the clock before they are set right."""
DRIFT = 0.001
"""Part of a second by which a camera's clock may go wrong in a second."""
BLACK = 24
"""Brightness, of 255, that no pixel of a black picture exceeds by much."""
MEMORY = 256
"""Pictures back to which a repetition is seen."""


@dataclass(frozen=True, slots=True)
class CameraFrame:
    """A frame of a camera; `stale` where it came too late."""

    frame: Frame
    planes: Planes | None
    stale: bool
    captured: float = field(default_factory=time.monotonic)
    """When it arrived, by `time.monotonic()`."""


class Camera:
    """A camera under the name `stream`; `index` is that of the next frame."""

    def __init__(self, stream: str, source: SourceConfig) -> None:
        self.stream = stream
        self.source = source
        self.index = 0
        self.alive = time.monotonic()
        """When it last made progress, be it that it failed."""
        self.black = False
        """Whether the last picture was."""
        self._started = 0.0

    def connect(self) -> Iterator[CameraFrame]:
        """Connect, and yield frames until the connection ends. Raises MediaError for why it did.

        A video, or what else has an end, is played once, and nothing is raised at its end.
        """
        self.alive = time.monotonic()
        if not is_camera(self.source.url):
            yield from self._played()
            return
        url, timeout = self.source.url, self.source.timeout
        try:
            with _opened(self.source) as container:
                yield from self._shots(container)
            raise MediaError(f"{redacted(url)}: the stream has ended")
        except (av.error.ExitError, av.error.TimeoutError) as error:
            raise MediaError(f"{redacted(url)}: nothing came for {timeout:g} s") from error
        except av.error.HTTPUnauthorizedError as error:
            raise MediaError(f"{redacted(url)}: user name or password are wrong (401)") from error
        except (av.error.FFmpegError, OSError) as error:
            text = error.strerror or type(error).__name__
            raise MediaError(f"{redacted(url)}: {text}") from error
        finally:
            self.alive = time.monotonic()

    def _played(self) -> Iterator[CameraFrame]:
        epoch, started = os.urandom(16).hex(), 0.0
        # A video may show one picture for a minute; what stands for a camera is watched like one.
        pattern = self.source.url.startswith(SYNTHETIC_SCHEME)
        watch = Watch(self.source.frozen_timeout) if pattern else None
        fragment, fragment_pts = self.index, 0
        # Frames may be dropped on their way: what is the same, only its process can say.
        for frame, planes in frames(
            self.stream, replace(self.source, motion_threshold=None), epoch, 0
        ):
            started = started or time.time() - frame.time
            if frame.fragment == frame.index:
                fragment, fragment_pts = self.index, frame.pts
            self.alive = time.monotonic()
            if watch is not None and planes is not None:
                watch(planes, self.alive, self.source.url)
                self.black = watch.black
            moved = replace(
                frame,
                index=self.index,
                fragment=fragment,
                fragment_pts=fragment_pts,
                started=started,
            )
            self.index += 1
            yield CameraFrame(moved, planes, stale=False)

    def _shots(self, container: InputContainer) -> Iterator[CameraFrame]:
        streams = container.streams.video
        if not streams or streams[0].codec_context is None:
            raise MediaError(f"{redacted(self.source.url)}: there is no video in it")
        stream = streams[0]
        stream.codec_context.thread_count = 1
        upright, watch = Upright(), Watch(self.source.frozen_timeout)
        # Only RTSP comes as it is seen: HLS comes in pieces, and MJPEG without time stamps.
        rtsp = self.source.url.lower().startswith("rtsp")
        stamped = stream.codec_context.name != "mjpeg"
        clock = Clock(self.source.max_delay if rtsp else None)
        sampler, began = Sampler(self.source), time.monotonic()
        epoch, fragment, fragment_pts = os.urandom(16).hex(), self.index, 0
        self._started = max(time.time(), self._started + 0.001)
        size, pictured = (0, 0), began
        for item in _pictures(container, stream):
            now = self.alive = time.monotonic()
            whole = isinstance(item, VideoFrame) and not item.is_corrupt
            if now - pictured > self.source.timeout:
                raise MediaError(
                    f"{redacted(self.source.url)}: data came, but no picture for "
                    f"{self.source.timeout:g} s"
                )
            if item is None or (not size[0] and not whole):
                continue  # before the first key frame a decoder has nothing to go by
            stamp = item.time if stamped and isinstance(item, VideoFrame) else None
            at, stale = clock(stamp, now - began)
            if not rtsp and at > now - began:
                time.sleep(min(at - (now - began), JUMP))
            if whole:
                pictured = now
            if not sampler(at):
                continue
            planes: Planes | None = None
            pts, origin = round(at * CLOCK), (0, 0)
            if isinstance(item, VideoFrame):
                size = upright_size(item)
                if item.key_frame and at > fragment_pts / CLOCK:
                    fragment, fragment_pts = self.index, pts
                if whole:
                    planes, origin = cropped(upright(item), self.source)
                    watch(planes, now, redacted(self.source.url))
                    self.black = watch.black
            error = None if planes is not None else "damaged: the picture cannot be decoded"
            frame = Frame(
                stream=self.stream, epoch=epoch, index=self.index, pts=pts, time_base=(1, CLOCK),
                fragment=fragment, fragment_pts=fragment_pts, started=self._started,
                width=size[0], height=size[1], origin=origin, error=error,
            )  # fmt: skip
            self.index += 1
            yield CameraFrame(frame, planes, stale)


class Clock:
    """Puts a camera's time stamps on ours, and sees what comes late."""

    def __init__(self, stale: float | None) -> None:
        self._stale = math.inf if stale is None else stale
        self._offset: float | None = None
        self._last = 0.0
        self._base = 0.0
        """How far a frame is behind its time stamp that came without delay."""
        self._then = 0.0

    def __call__(self, stamp: float | None, now: float) -> tuple[float, bool]:
        """Seconds since the connection began, never backwards, and whether it came too late.

        stamp: the camera's; None where it has none. now: our own seconds.
        """
        at = now if stamp is None or self._offset is None else stamp + self._offset
        late = now - at - self._base
        stale = stamp is not None and self._stale < late < self._stale + 60
        if not stale and (self._offset is None or abs(late) > JUMP or at < self._last):
            # The first one, or its clock has jumped.
            at = max(now, self._last)
            self._base = 0.0
            if stamp is not None:
                self._offset = at - stamp
        else:
            self._base = min(self._base + DRIFT * (now - self._then), now - at)
        self._then = now
        self._last = max(at, self._last)
        return self._last, stale


class Watch:
    """Sees pictures that a camera sends instead of what it sees. Raises MediaError."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._recent: deque[int] = deque(maxlen=MEMORY)
        self._distance = 0
        self._since = 0.0
        self.black = False

    def __call__(self, planes: Planes, now: float, name: str) -> None:
        y = planes.y
        small = np.ascontiguousarray(y[:: max(1, y.shape[0] // 90), :: max(1, y.shape[1] // 160)])
        self.black = bool(np.percentile(small, 99) <= BLACK)
        seen = zlib.crc32(small.tobytes())
        # A real camera's noise makes no two pictures alike.
        distance = self._recent.index(seen) + 1 if seen in self._recent else 0
        if not distance or distance != self._distance:
            self._distance, self._since = distance, now
        elif now - self._since > self._seconds and not self.black:
            what = "frozen" if distance == 1 else f"the same {distance} pictures again and again"
            raise MediaError(f"{name}: {what} for {self._seconds:g} s")
        self._recent.appendleft(seen)


def _opened(source: SourceConfig) -> InputContainer:
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


def _pictures(
    container: InputContainer, stream: VideoStream
) -> Iterator[VideoFrame | Exception | None]:
    """Pictures as they are decoded; an error for what the decoder refuses; None for other data."""
    for packet in container.demux(stream):
        try:
            pictures = packet.decode()
        except av.error.FFmpegError as error:
            yield error
            continue
        yield from pictures
        if not pictures:
            yield None
