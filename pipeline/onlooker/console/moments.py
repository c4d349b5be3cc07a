"""The image of a record, with its boxes: of a video, whose frames can be read again.

Images of cameras are not kept.
"""

from collections.abc import Iterator

import simplejpeg
from msgspec.structs import replace
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from onlooker.config.schema import SourceConfig
from onlooker.console import console_context
from onlooker.console.console_context import ConsoleContext
from onlooker.media.errors import MediaError
from onlooker.media.open import frames, open_video
from onlooker.media.picture import Pixels, Planes
from onlooker.media.url import is_camera, redacted
from onlooker.media.video_file import VideoFile
from onlooker.rekognition.shapes import StreamRecord
from onlooker.render.draw import draw_record
from onlooker.types import Frame

QUALITY = 85
"""Of the JPEG."""
KEEP_SECONDS = 3600
"""Time for which a browser may keep the image."""


def video_of(context: ConsoleContext, stream: str) -> SourceConfig | None:
    """Return the source of a stream whose frames can be read again; None if they cannot."""
    feed = context.observer.feeds.get(stream)
    source = context.config.streams.get(stream) if feed is None else feed.source
    if source is None or source.policy == "live" or is_camera(source.url):
        return None
    return source


def image_of(source: SourceConfig, record: StreamRecord) -> Pixels:
    """Return the frame of a record, BGR, with its boxes, names and texts.

    Raises MediaError if the video does not have it any more.
    """
    information = record.FrameInformation
    for frame, planes in _frames(source, information.Index):
        if planes is None or frame.index != information.Index or frame.pts != information.Pts:
            break
        pixels, _ = planes.region(0, 0, planes.width, planes.height)
        if frame.origin == (0, 0) and pixels.shape[:2] == (information.Height, information.Width):
            draw_record(pixels, record)
        return pixels
    raise MediaError(f"{redacted(source.url)}: the video has changed since then")


def _frames(source: SourceConfig, index: int) -> Iterator[tuple[Frame, Planes | None]]:
    """Yield the frame of this number, and perhaps others after it. Raises MediaError."""
    if source.selection():
        yield from frames("moment", replace(source, speed="max"), "moment", index)
        return
    with open_video(source.url, "moment", source.deinterlace) as video:
        if isinstance(video, VideoFile):
            yield from video.chosen_frames("moment", lambda number: number == index)
        else:
            yield from video.frames("moment", index)


def show(request: Request) -> Response:
    """Answer with the image of a record."""
    context = console_context.of(request)
    session = console_context.allowed(request, "console:View")
    with context.log() as log:
        record = None if log is None else log.find(str(request.path_params["record"]))
    if record is None or not context.sees(session, record.stream):
        raise HTTPException(404, "There is no such record; it may have been removed.")
    source = video_of(context, record.stream)
    if source is None:
        raise HTTPException(404, "Images of this stream are not kept.")
    jpeg = simplejpeg.encode_jpeg(image_of(source, record), QUALITY, colorspace="BGR")
    headers = {"Cache-Control": f"private, max-age={KEEP_SECONDS}"}
    return Response(jpeg, media_type="image/jpeg", headers=headers)


ROUTES = (Route("/moments/{record:uuid}", show),)
