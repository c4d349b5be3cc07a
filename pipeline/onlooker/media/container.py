"""Containers of video: the kinds that are opened, and the stream of one that is decoded."""

import stat
from pathlib import Path
from typing import Any, cast

import av
import av.error
from av.codec.context import Flags as CodecFlags
from av.container import InputContainer
from av.container.core import Flags
from av.stream import Discard, Disposition
from av.video.stream import VideoStream

from onlooker.media.errors import MediaError, TooLarge
from onlooker.media.image import IMAGE_SUFFIXES, MAX_PIXELS

TOLERANT: dict[str, Any] = (
    {} if int(av.__version__.partition(".")[0]) >= 19 else {"metadata_errors": "replace"}
)
"""Arguments of `av.open` for titles that are not UTF-8. PyAV 19, which needs Python 3.12, accepts
them by itself."""

FORMATS = (
    # containers of any video
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpegtsraw,mpeg,flv,live_flv,ogg,asf,asf_o,mxf"
    ",gxf,nut,nsv,nuv,rm,ivr,wtv,ty,pva,swf,vivo,vividas,kux,lxf,lvf,usm,ivf,yuv4mpegpipe"
    # recorders and cameras
    ",dhav,hxvs,ifv,iv8,luodat,nc,mxg,lmlm4,msnwctcp,mpjpeg,smjpeg,ingenient,cine,ser,dv,pmp,psxstr"
    # streams without a container
    ",h261,h263,h264,hevc,vvc,m4v,mpegvideo,mjpeg,mjpeg_2000,av1,obu,evc,apv,avs2,avs3,cavsvideo"
    ",dirac,dnxhd,vc1,vc1test,ipu"
    # animations and videos of games
    ",gif,apng,flic,filmstrip,4xm,anm,bethsoftvid,bfi,bink,bmv,c93,cdxl,dfa,dsicin,dxa,ea"
    ",film_cpk,gdv,hnm,idcin,ipmovie,jv,mm,mods,moflex,mtv,mv,mvi,paf,pdv,rl2,roq,rpl,sdr2,sga,siff"
    ",smk,smush,thp,tiertexseq,tmv,vmd,wc3movie,wsvqa,xmv,yop"
    # sound, so that a message can say that the video is missing
    ",wav,mp3,flac,aac,ac3,aiff,amr,au,caf,w64"
)
"""Formats that are opened. None of them reads another file. Playlists and some old formats do; what
they name may be anything. Images and texts are no video."""

NO_VIDEO = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
"""Video streams that are the cover of a song, or previews."""


def open_file(path: Path) -> InputContainer:
    """Open the container at `path`. Raises MediaError."""
    try:
        status = path.stat()
    except OSError as error:
        raise MediaError(f"{path}: {error.strerror}") from error
    if not stat.S_ISREG(status.st_mode):
        raise MediaError(f"{path}: not a file")
    if not status.st_size:
        raise MediaError(f"{path}: the file is empty")
    try:
        container: InputContainer = av.open(
            f"file:{path}",  # otherwise a colon in the name would mark a protocol
            format="mjpeg" if _is_motion_jpeg(path) else None,
            options={"format_whitelist": FORMATS, "protocol_whitelist": "file"},
            **TOLERANT,
        )
    except av.error.FFmpegError as error:
        if path.suffix.lower() in IMAGE_SUFFIXES:
            raise MediaError(
                f"{path}: an image, not a video; use `onlooker faces` or `onlooker text`, or name "
                "a folder of images"
            ) from error
        if isinstance(error, av.error.ArgumentError):  # it is in a format that is not in FORMATS
            raise MediaError(
                f"{path}: not a kind of video that is read; images, texts and playlists are none"
            ) from error
        raise MediaError(f"{path}: not a video that can be read ({error.strerror})") from error
    # PyAV has libav generate time stamps that are missing. Where frames are reordered, as in AVI,
    # it generates wrong ones; the decoder's own (`VideoFrame.dts`) are right.
    container.flags &= ~cast(int, Flags.gen_pts.value)
    return container


def _is_motion_jpeg(path: Path) -> bool:
    """Return whether a file is JPEGs in a row, which libav takes for an image if they have JFIF."""
    if path.suffix.lower() not in (".mjpeg", ".mjpg"):
        return False
    try:
        with path.open("rb") as file:
            return file.read(3) == b"\xff\xd8\xff"
    except OSError:
        return False  # libav says why


def video_stream(container: InputContainer, name: str) -> VideoStream:
    """Return the stream with the largest images, and discard all others.

    Raises MediaError, which calls the container `name`, if there is none; TooLarge if its images
    have more than MAX_PIXELS.
    """
    videos = [stream for stream in container.streams.video if not stream.disposition & NO_VIDEO]
    known = [stream for stream in videos if stream.codec_context is not None]
    if not known:
        cause = "libav does not know its video codec" if videos else "no video in it"
        raise MediaError(f"{name}: {cause}")
    chosen = max(known, key=_size)
    for stream in container.streams:
        if stream is not chosen:
            stream.discard = Discard.all
    decoder = chosen.codec_context
    if decoder.width * decoder.height > MAX_PIXELS:
        raise TooLarge(
            f"{name}: images of {decoder.width} x {decoder.height} pixels exceed "
            f"{MAX_PIXELS // 1_000_000} million"
        )
    decoder.options = {"max_pixels": str(MAX_PIXELS)}  # also of images that come later
    # Otherwise the left edge is cropped by multiples of 32 or 64 pixels only.
    decoder.flags |= CodecFlags.unaligned.value
    return chosen


def _size(stream: VideoStream) -> tuple[int, bool, int]:
    """Of equal streams the default one counts more, then that with more frames (animated AVIF)."""
    default = bool(stream.disposition & Disposition.default)
    return stream.codec_context.width * stream.codec_context.height, default, stream.frames
