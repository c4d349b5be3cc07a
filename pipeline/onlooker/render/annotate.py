"""A copy of a video with its records drawn into the images."""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from onlooker.media.errors import MediaError
from onlooker.media.open import open_video
from onlooker.media.picture import Planes
from onlooker.media.video import Video
from onlooker.media.video_writer import VideoWriter
from onlooker.rekognition.shapes import StreamRecord
from onlooker.render.blur import Blur, Hidden, hidden, hide
from onlooker.render.draw import draw_record
from onlooker.types import Frame

MAX_UNITS = 2**31 - 1
"""Units of the time base that MP4 can put between two images."""
LONGER_UNITS = tuple(Fraction(1, rate) for rate in (1000, 100, 10, 1))


def annotate(
    video: Path, records: Iterable[StreamRecord], out: Path, policy: Blur | None = None
) -> None:
    """Write a copy of `video` as `out`, with faces, names and lines of its `records` drawn in.

    video: a file, or a folder of images.
    records: those of a replay of that video, in order; a frame without a record is copied as it is,
    or left out if there is a `policy`: the faces that it names are made unrecognisable.
    Time stamps are kept; audio and images that cannot be decoded are left out. Raises MediaError if
    the video cannot be read or written, if `out` exists, and if the records belong to another
    video.
    """
    if out.exists() and out.samefile(video):
        raise MediaError(f"{out}: this is the video itself; name another file for the copy")
    with (
        open_video(str(video), digest="") as source,  # the frames' epoch is not needed
        VideoWriter(out, source.width, source.height, source.rate, _units(source)) as writer,
    ):
        wanted = (
            hidden(records, policy)
            if policy is not None
            else (Hidden(record, (), frozenset()) for record in records)
        )
        for frame, planes, found in _with_records(source.frames(video.stem), wanted):
            record = None if found is None else found.record
            if record is not None and record.FrameInformation.Pts != frame.pts:
                raise MediaError(
                    f"the records are not of {video}: frame {frame.index} is at {frame.pts} in the "
                    f"video and at {record.FrameInformation.Pts} in the records"
                )
            if planes is not None:
                if policy is not None and (
                    record is None or record.FrameInformation.Error is not None
                ):
                    continue  # who is in it is not known
                image, _ = planes.region(0, 0, planes.width, planes.height)
                if found is not None:
                    hide(image, found.boxes)
                    draw_record(image, found.record, found.faces)
                # The size of a video's images may change; that of the copy cannot.
                image = cv2.resize(image, (source.width, source.height)).astype(np.uint8)
                writer.write(image, round(frame.pts * source.time_base / writer.time_base))


def _units(source: Video) -> Fraction:
    """Return the time base of the copy: the video's own, or milliseconds and longer units."""
    finest = (source.seconds or 0) / MAX_UNITS
    own = source.time_base
    return next((unit for unit in (own, *LONGER_UNITS) if unit >= finest), LONGER_UNITS[-1])


def _with_records(
    frames: Iterator[tuple[Frame, Planes | None]], records: Iterator[Hidden]
) -> Iterator[tuple[Frame, Planes | None, Hidden | None]]:
    """Yield each frame with its record or None; both are in the order of their index."""
    found = next(records, None)
    for frame, planes in frames:
        while found is not None and found.record.FrameInformation.Index < frame.index:
            found = next(records, None)
        own = found is not None and found.record.FrameInformation.Index == frame.index
        yield frame, planes, found if own else None
