"""The feeds of a run: the sources of its streams, and the outputs of their records."""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from onlooker.config.schema import Config, SourceConfig
from onlooker.escape import STREAMS
from onlooker.stream.messages import Counts
from onlooker.stream.outputs import Outputs

if TYPE_CHECKING:
    from onlooker.media.video import Video
    from onlooker.record.log.reader import Log

logger = logging.getLogger(__name__)

MAX_LIVES = 1_000_000
"""Processes that one feed may have, one after the other."""


class Feed(msgspec.Struct, frozen=True, kw_only=True):
    """The source of a stream, and the outputs of its records."""

    stream: str
    source: SourceConfig
    outputs: Outputs = Outputs()
    number: int = 0
    """Unique in a run; higher than that of the feed that it replaces."""
    digest: str = ""
    """Epoch of a video's frames: a digest of its bytes and of the selection of frames."""
    analysis: str = ""
    """Digest of the settings and model weights that its frames are analysed with."""
    start: int = 0
    """Index of the first frame; an earlier run has recorded those before it."""
    frames: int | None = None
    """Number of frames, or an estimate, if there is one before they are read."""
    finished: bool = False
    """Whether the log has all frames. Never if their number is an estimate."""
    width: int = 1920
    height: int = 1080

    @property
    def live(self) -> bool:
        return self.source.policy == "live"

    def of_stages(self, follow: bool) -> "Feed":
        """Return the feed for stages that follow what was found before, or for others: then no
        frame of a video goes unsearched."""
        detect_every = self.source.detect_every
        if follow or self.live or detect_every is not None:
            return self
        return replace(self, source=replace(self.source, detect_every=1))

    def session(self, life: int) -> int:
        """Return the session of the feed's process in its `life`-th life.

        It is higher than any that the stream had before.
        """
        return self.number * MAX_LIVES + life

    @property
    def last_session(self) -> int:
        return self.session(MAX_LIVES - 1)

    @property
    def counts(self) -> Counts:
        """Frames of the stream that were settled before this run."""
        return Counts(received=self.start, done=self.start)


def feeds(
    videos: Sequence[Path], config: Config, outputs: Outputs, speed: str = "max"
) -> list[Feed]:
    """Return a feed for each video, named after it, that starts where the log ends.

    Further videos of one name get numbers, and `onlooker.escape` says how names are written.

    `speed` is that of `onlooker.config.schema.SourceConfig`. Raises MediaError if a file is no
    video, LogError if the log or the file of records cannot be resumed.
    """
    return feeds_of(named(videos, speed), config, outputs)


def named(videos: Sequence[Path], speed: str = "max") -> dict[str, SourceConfig]:
    """Return a source for each video, by the name of its stream (see `feeds`)."""
    sources: dict[str, SourceConfig] = {}
    for video in videos:
        stem = STREAMS.encode(video.stem)
        numbered = (f"{stem}-{number}" if number > 1 else stem for number in count(1))
        name = next(each for each in numbered if each not in sources)
        sources[name] = SourceConfig(url=str(video), speed=speed)
    return sources


def feeds_of(
    sources: Mapping[str, SourceConfig],
    config: Config,
    outputs: Outputs,
    first: int = 0,
) -> list[Feed]:
    """Return the feeds of streams, which are given by name. Videos start where the log ends.

    first: number of the first feed; not 0 if a run may be writing to the log already. Raises as
    `feeds` does, and MediaError if a camera has the policy "every".
    """
    from onlooker.media.url import is_camera
    from onlooker.record.frame_record import analysis_digest
    from onlooker.record.log.reader import Log
    from onlooker.record.log.writer import Writer
    from onlooker.record.sinks.json_lines import JsonLines, claim
    from onlooker.record.sinks.sink import Follower

    # All videos before the log: no log is made for a file that is no video.
    videos: dict[str, Video] = {}
    for name, source in sources.items():
        if not is_camera(source.url):
            videos[name] = _opened(name, source)
    if not first or not outputs.log_path.exists():  # else the run may be writing to it
        if outputs.records:
            claim(outputs.records)  # no log is made beside a file that is another's
        with Writer(outputs.log_path, outputs.limits) as writer:
            if outputs.records:
                with JsonLines(outputs.records, writer, outputs.limits) as lines:
                    Follower(writer, lines).catch_up()
    found: list[Feed] = []
    with Log(outputs.log_path) as log:
        for number, (name, source) in enumerate(sources.items(), first):
            settings = config.for_source(source)
            feed = Feed(
                stream=name,
                source=replace(source, text=settings.text.enabled),
                number=number,
                outputs=outputs,
                analysis=analysis_digest(settings),
            )
            feed = _with_policy(feed, videos.get(name), log).of_stages(_follow(settings))
            if not settings.tracks.enabled:  # nothing is followed, whoever asks for it
                feed = replace(feed, source=replace(feed.source, detect_every=1))
            found.append(feed)
    return found


def _opened(name: str, source: SourceConfig) -> "Video":
    """Return a stream's video, closed again: there may be thousands. Raises MediaError."""
    from onlooker.media.errors import MediaError
    from onlooker.media.open import open_video

    try:
        with open_video(source.url, deinterlace=source.deinterlace) as video:
            if video.left_out:
                logger.warning("left out stream=%s files=%s", name, ", ".join(video.left_out))
            return video
    except MediaError as error:
        raise MediaError(f"stream {name}: {error}") from error


def _follow(settings: Config) -> bool:
    """Return whether what was found in a frame is followed by itself, not searched in the next."""
    faces, text = settings.faces, settings.text
    return not (
        (faces.enabled and faces.detection == "thorough")
        or (text.enabled and text.detection == "thorough")
    )


def _with_policy(feed: Feed, video: "Video | None", log: "Log") -> Feed:
    """Return the feed with the policy decided: live, or every frame of `video` after the log's.

    video: None for a camera. Raises MediaError if a camera has the policy "every".
    """
    from onlooker.media.errors import MediaError

    policy = feed.source.policy
    if video is None and policy == "every":
        raise MediaError(f"{feed.stream}: a camera does not wait; its policy cannot be 'every'")
    if video is None or policy == "live" or (policy is None and video.endless):
        return replace(feed, source=replace(feed.source, policy="live"))
    selection = feed.source.selection()
    epoch = video.digest
    # To search each frame is another analysis, though it selects no others.
    if how := selection + (b"every" if feed.source.detect_every == 1 else b""):
        epoch = hashlib.sha256(epoch.encode() + how).hexdigest()
    start = _first_missing(log, feed.stream, epoch, feed.analysis)
    frames = None if selection else video.frames_expected
    return replace(
        feed,
        source=replace(feed.source, policy="every"),
        digest=epoch,
        start=start,
        frames=frames,
        finished=video.counted and start == frames,
        width=video.width,
        height=video.height,
    )


def _first_missing(log: "Log", stream: str, digest: str, analysis: str) -> int:
    """Return the first index that is not in the log, which has all before it."""
    from onlooker.record.frame_record import record_id

    newest = log.newest(stream)
    if newest is not None:
        index = newest.FrameInformation.Index
        if newest.RecordId == record_id(stream, digest, index, analysis):
            return index + 1  # the log may have let the first ones go

    def recorded(index: int) -> bool:
        return record_id(stream, digest, index, analysis) in log

    low, high = 0, 1
    while recorded(high - 1):
        low, high = high, 2 * high
    while low < high - 1:
        middle = (low + high) // 2
        low, high = (middle, high) if recorded(middle - 1) else (low, middle)
    return low
