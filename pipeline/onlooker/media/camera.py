"""Cameras: connections that yield frames until they fail, and report the cause.

Every wait ends: libav's by its timeouts, and the process around it detects any other hang.
"""

import errno
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
from onlooker.media import playlist
from onlooker.media.camera_health import JUMP_SECONDS, Clock, FreezeDetector
from onlooker.media.container import TOLERANT, video_stream
from onlooker.media.deinterlace import Deinterlacer
from onlooker.media.errors import MediaError
from onlooker.media.open import frames
from onlooker.media.picture import Planes
from onlooker.media.sampling import Sampler, cropped
from onlooker.media.upright import Upright
from onlooker.media.url import SYNTHETIC_SCHEME, is_camera, is_device, may_be_unescaped, redacted
from onlooker.types import Frame

PROTOCOLS = "tcp,udp,rtp,rtsp,rtsps,srtp,http,https,httpproxy,tls,crypto,data"
"""Without local files: a playlist from the network cannot name one."""
QUICK = {"fpsprobesize": "0", "analyzeduration": "500000"}
"""Options of libav for the first image soon: its estimate of the frame rate takes 20 frames, and is
not used; a stream that begins between two key frames is analysed for half a second, not five."""
NO_PROBE = {"probesize": "32"}
"""RTSP states the codec, and libav would wait for seven frames of H.264 to know their order."""
STILL_SECONDS = 1.0
"""Time for which the only image of a video is shown before it is repeated."""
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

        A video or folder that plays as a camera is played once, unless it is repeated; its end
        raises nothing.
        """
        self.alive = time.monotonic()
        if not is_camera(self.source.url):
            yield from self._repeated() if self.source.repeat else self._played()
            return
        name, timeout = redacted(self.source.url), self.source.timeout
        # The errors of libav have the whole URL, and with it the password: none is passed on.
        try:
            with open_camera(self.source) as container:
                yield from self._received(container, name)
            raise MediaError(f"{name}: the stream has ended")
        except (av.error.ExitError, av.error.TimeoutError):
            raise MediaError(f"{name}: no data for {timeout:g} s") from None
        except av.error.HTTPUnauthorizedError:
            raise MediaError(f"{name}: the user name or password is wrong (401)") from None
        except av.error.InvalidDataError:
            text = f"{name}: what comes from there is no video; check the port and the path"
            raise MediaError(text + self._advice()) from None
        except (av.error.FFmpegError, OSError) as error:
            # libav's word for a server that closes, unless that said how much it would send.
            closed = "the connection failed, or was closed" if error.errno == errno.EIO else None
            text = f"{name}: {closed or error.strerror or type(error).__name__}"
            raise MediaError(text + self._advice()) from None
        finally:
            self.alive = time.monotonic()

    def _advice(self) -> str:
        if not may_be_unescaped(self.source.url):
            return ""
        return "; a password has %2F for /, %3F for ?, %23 for # and %3B for ;"

    def _repeated(self) -> Iterator[CameraFrame]:
        """Play a video for ever, each time as if it had been connected again. Raises MediaError."""
        while True:
            began: float | None = None
            last, number = 0.0, 0
            for shot in self._played():
                last, number = shot.captured, number + 1
                began = last if began is None else began
                yield shot
            if began is None:
                raise MediaError(f"{redacted(self.source.url)}: none of its images is selected")
            between = (last - began) / (number - 1) if number > 1 else STILL_SECONDS
            time.sleep(max(0.0, last + between - time.monotonic()))

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
                freeze(planes, self.alive, redacted(self.source.url))
                self.black = freeze.black
            moved = replace(
                frame,
                index=self.index,
                fragment=fragment,
                fragment_pts=fragment_pts,
                started=started,
                last=frame.last and not self.source.repeat,  # nobody leaves where it begins again
            )
            self.index += 1
            yield CameraFrame(moved, planes, stale=False)

    def _received(self, container: InputContainer, name: str) -> Iterator[CameraFrame]:
        stream = video_stream(container, name)
        stream.codec_context.thread_count = 1
        upright, freeze = Upright(stream), FreezeDetector(self.source.frozen_timeout)
        deinterlacer = Deinterlacer(self.source.deinterlace)
        # Only RTSP comes in real time: HLS comes in segments, and MJPEG has no time stamps.
        rtsp = self.source.url.lower().startswith("rtsp")
        stamped = stream.codec_context.name != "mjpeg"
        clock = Clock(self.source.max_delay if rtsp else None)
        sampler, began = Sampler(self.source), time.monotonic()
        epoch, fragment, fragment_pts = os.urandom(16).hex(), self.index, 0
        self._started = max(time.time(), self._started + 0.001)
        size, imaged = (0, 0), began
        for item in _decoded(container, stream, deinterlacer):
            now = self.alive = time.monotonic()
            whole = isinstance(item, VideoFrame) and not item.is_corrupt
            if whole:
                imaged = now
            elif now - imaged > self.source.timeout:
                raise MediaError(f"{name}: data came, but no image for {self.source.timeout:g} s")
            if item is None or (not size[0] and not whole):
                continue  # no frame can be decoded before the first key frame
            if isinstance(item, VideoFrame):
                size = upright.size(item)
            stamp = item.time if stamped and isinstance(item, VideoFrame) else None
            at, stale = clock(stamp, now - began)
            if not rtsp and at > now - began:
                time.sleep(min(at - (now - began), JUMP_SECONDS))
            if not sampler(at):
                continue
            planes: Planes | None = None
            pts, origin = round(at * CLOCK_HZ), (0, 0)
            if isinstance(item, VideoFrame):
                if item.key_frame and at > fragment_pts / CLOCK_HZ:
                    fragment, fragment_pts = self.index, pts
                if whole:
                    planes, origin = cropped(upright(item), self.source)
                    freeze(planes, now, name)
                    self.black = freeze.black
            error = None if planes is not None else "damaged: the image cannot be decoded"
            frame = Frame(
                stream=self.stream, epoch=epoch, index=self.index, pts=pts, time_base=(1, CLOCK_HZ),
                fragment=fragment, fragment_pts=fragment_pts, started=self._started,
                width=size[0], height=size[1], origin=origin, error=error,
            )  # fmt: skip
            self.index += 1
            yield CameraFrame(frame, planes, stale)


def open_camera(source: SourceConfig) -> InputContainer:
    """Open the connection; of an HLS stream with several variants, the best one that can be had.

    Raises av.error.FFmpegError, whose text may have the password, and OSError.
    """
    url, failure = source.url, None
    timeout = source.timeout, source.timeout
    if is_device(url):
        options = {"use_wallclock_as_timestamps": "1", **QUICK}
        return av.open(url, format="v4l2", options=options, timeout=timeout)
    options = {"protocol_whitelist": PROTOCOLS, **QUICK}
    microseconds = str(round(source.timeout * 1e6))
    if url.lower().startswith("rtsp"):
        options |= {"rtsp_transport": source.transport, "timeout": microseconds, **NO_PROBE}
    else:
        options |= {"rw_timeout": microseconds, "user_agent": "onlooker"}
    for address in (*playlist.variants(url, options, timeout), url):
        try:
            container: InputContainer = av.open(
                address, options=options, timeout=timeout, **TOLERANT
            )
            return container
        except (av.error.FFmpegError, OSError) as error:
            failure = failure or error
    assert failure is not None
    raise failure


def _decoded(
    container: InputContainer, stream: VideoStream, deinterlacer: Deinterlacer
) -> Iterator[VideoFrame | Exception | None]:
    """Yield frames, an error for each packet that the decoder refuses, and None for other data."""
    for packet in container.demux(stream):
        try:
            images = packet.decode()
        except av.error.FFmpegError as error:
            yield error
            continue
        for image in images:
            yield from deinterlacer(image)
        if not images:
            yield None
