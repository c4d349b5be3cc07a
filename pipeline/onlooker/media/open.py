"""What has an end and can be read again from its beginning: videos, pictures, patterns."""

import glob
import os
from collections.abc import Iterator
from typing import TypeAlias

from msgspec.structs import replace

from onlooker.config.schema import SourceConfig
from onlooker.media.image_folder import ImageFolder
from onlooker.media.picture import Planes
from onlooker.media.sampling import paced, selected
from onlooker.media.synthetic import Pattern
from onlooker.media.url import SYNTHETIC_SCHEME
from onlooker.media.video_file import VideoFile
from onlooker.types import Frame

Video: TypeAlias = VideoFile | ImageFolder | Pattern


def open_video(url: str, digest: str | None = None) -> Video:
    """What `url` names, to be used in a `with` statement. Raises MediaError."""
    if url.startswith(SYNTHETIC_SCHEME):
        return Pattern(url, digest)
    path = url.removeprefix("file://")
    if os.path.isdir(path) or (glob.has_magic(path) and not os.path.exists(path)):
        return ImageFolder(path, digest)
    return VideoFile(path, digest)


def frames(
    stream: str, source: SourceConfig, epoch: str, start: int
) -> Iterator[tuple[Frame, Planes | None]]:
    """The frames that `source` asks for, from number `start` on, at its pace."""
    with open_video(source.url, epoch) as video:
        if source.selection():
            found = selected(video.frames(stream), source, start)
        else:
            found = video.frames(stream, start)
        if source.pace:
            found = paced(found, source.pace)
        for frame, planes in found:
            yield replace(frame, epoch=epoch), planes
