"""A source that is no camera, opened by its URL: a video file, images or a synthetic video."""

import glob
import os
from collections.abc import Iterator

from msgspec.structs import replace

from onlooker.config.schema import Deinterlace, SourceConfig
from onlooker.media.errors import MediaError
from onlooker.media.image_folder import ImageFolder
from onlooker.media.picture import Planes
from onlooker.media.sampling import paced, selected
from onlooker.media.search_schedule import scheduled
from onlooker.media.synthetic import SyntheticVideo
from onlooker.media.url import SYNTHETIC_SCHEME
from onlooker.media.video import Video
from onlooker.media.video_file import VideoFile
from onlooker.types import Frame


def open_video(url: str, digest: str | None = None, deinterlace: Deinterlace = "auto") -> Video:
    """Open the video, folder or pattern that `url` names, for a `with` statement.

    digest: that of the content, if it is known already. deinterlace: as in
    `onlooker.config.schema.SourceConfig`. Raises MediaError.
    """
    if url.startswith(SYNTHETIC_SCHEME):
        return SyntheticVideo(url, digest)
    path = url.removeprefix("file://")
    if os.path.isdir(path) or (glob.has_magic(path) and not os.path.exists(path)):
        return ImageFolder(path, digest)
    return VideoFile(path, digest, deinterlace)


def with_last(
    found: Iterator[tuple[Frame, Planes | None]],
) -> Iterator[tuple[Frame, Planes | None]]:
    """Yield the frames, the last one marked as such, each when the next one has been decoded."""
    held: tuple[Frame, Planes | None] | None = None
    try:
        for item in found:
            if held is not None:
                yield held
            held = item
    except MediaError:
        if held is not None:
            yield replace(held[0], last=True), held[1]
        raise
    if held is not None:
        yield replace(held[0], last=True), held[1]


def frames(
    stream: str, source: SourceConfig, epoch: str, start: int
) -> Iterator[tuple[Frame, Planes | None]]:
    """Yield the frames that `source` selects, from number `start` on, at its pace."""
    with open_video(source.url, epoch, source.deinterlace) as video:
        # Of a camera, any frame may be dropped, also the one that would be searched.
        follows = (
            source.detect_every is None
            and source.policy != "live"
            and not isinstance(video, ImageFolder)
        )
        first = 0 if follows else start
        if source.selection():
            found = selected(video.frames(stream), source, first)
        else:
            found = video.frames(stream, first)
        if follows:
            found = scheduled(found, start, text=source.text is not False)
        found = with_last(found)
        if source.pace:
            found = paced(found, source.pace)
        yield from found
