"""The feeds of a run: what its streams come from, and where their records go."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from onlooker.config.schema import Config, SourceConfig
from onlooker.stream.messages import Counts
from onlooker.stream.outputs import Outputs

if TYPE_CHECKING:
    from onlooker.record.log.reader import Log

MAX_LIVES = 1_000_000
"""Processes that one feed may have, one after the other."""


class Feed(msgspec.Struct, frozen=True, kw_only=True):
    """Where a stream comes from: a video or the like, or a camera."""

    stream: str
    source: SourceConfig
    outputs: Outputs = Outputs()
    number: int = 0
    """Tells the feeds of one run apart, and is higher for one that replaces another."""
    digest: str = ""
    """Epoch of a video's frames: of its bytes, and of what is selected from it."""
    analysis: str = ""
    """Digest of the settings and model weights that its frames are analysed with."""
    start: int = 0
    """Frames before this one were recorded by an earlier run."""
    frames: int | None = None
    """How many there should be."""
    width: int = 1920
    height: int = 1080

    @property
    def live(self) -> bool:
        return self.source.policy == "live"

    def session(self, life: int) -> int:
        """Number of a process that feeds it, higher than any that the stream had before."""
        return self.number * MAX_LIVES + life

    @property
    def last_session(self) -> int:
        return self.session(MAX_LIVES - 1)

    @property
    def counts(self) -> Counts:
        """What has become of the stream before this run."""
        return Counts(received=self.start, done=self.start)


def feeds(
    videos: Sequence[Path], config: Config, outputs: Outputs, speed: str = "max"
) -> list[Feed]:
    """A stream for each video, named after it, that begins where the log ends.

    `speed` is that of `onlooker.config.schema.SourceConfig`. Raises MediaError for what is no
    video, LogError for a log or a file of records that cannot be gone on with.
    """
    from onlooker.record.frame_record import spelled

    names: Counter[str] = Counter()
    sources: dict[str, SourceConfig] = {}
    for video in videos:
        name = spelled(video.stem)
        names[name] += 1
        number = "" if names[name] == 1 else f"-{names[name]}"
        sources[name + number] = SourceConfig(url=str(video), speed=speed)
    return feeds_of(sources, config, outputs)


def feeds_of(
    sources: Mapping[str, SourceConfig],
    config: Config,
    outputs: Outputs,
    first: int = 0,
) -> list[Feed]:
    """The feeds of streams by their names; those that are not live begin where the log ends.

    first: number of the first feed; 0 where no run writes to the log yet. Raises as `feeds` does,
    and MediaError for a camera whose frames are all to be looked at.
    """
    from onlooker.media.errors import MediaError
    from onlooker.media.open import open_video
    from onlooker.media.url import is_camera
    from onlooker.media.video import Video
    from onlooker.record.frame_record import analysis_digest
    from onlooker.record.log.reader import Log
    from onlooker.record.log.writer import Writer
    from onlooker.record.sinks.json_lines import JsonLines
    from onlooker.record.sinks.sink import Follower

    found: list[Feed] = []
    with ExitStack() as closing:
        # All videos before the log: for what is no video none is made.
        videos: dict[str, Video] = {}
        for name, source in sources.items():
            if not is_camera(source.url):
                videos[name] = open_video(source.url)
                closing.callback(videos[name].close)
        if not first or not outputs.log_path.exists():  # else the run may be writing to it
            with Writer(outputs.log_path, outputs.limits) as writer:
                if outputs.records:
                    with JsonLines(outputs.records, writer, outputs.limits) as lines:
                        Follower(writer, lines).catch_up()
        log = closing.enter_context(Log(outputs.log_path))
        for name, source in sources.items():
            video, analysis = videos.get(name), analysis_digest(config.for_source(source))
            if video is None and source.policy == "every":
                raise MediaError(f"{name}: a camera does not wait; its policy cannot be 'every'")
            if (
                video is None
                or source.policy == "live"
                or (source.policy is None and video.endless)
            ):
                found.append(
                    Feed(
                        stream=name,
                        source=replace(source, policy="live"),
                        outputs=outputs,
                        analysis=analysis,
                    )
                )
                continue
            selection = source.selection()
            epoch = video.digest
            if selection:
                epoch = hashlib.sha256(epoch.encode() + selection).hexdigest()
            found.append(
                Feed(
                    stream=name,
                    source=replace(source, policy="every"),
                    outputs=outputs,
                    digest=epoch,
                    analysis=analysis,
                    start=_first_missing(log, name, epoch, analysis),
                    frames=None if selection else video.frames_expected,
                    width=video.width,
                    height=video.height,
                )
            )
    return [replace(feed, number=number) for number, feed in enumerate(found, first)]


def _first_missing(log: "Log", stream: str, digest: str, analysis: str) -> int:
    from onlooker.record.frame_record import record_id
    from onlooker.record.log.reader import first_missing

    newest = log.newest(stream)
    if newest is not None:
        index = newest.FrameInformation.Index
        if newest.RecordId == record_id(stream, digest, index, analysis):
            return index + 1  # the log may have let the first ones go
    return first_missing(log, lambda index: record_id(stream, digest, index, analysis))
