"""The recorder: frames in, records of a log out.

Frames of a stream come in order. Records are gathered and appended in groups, since each commit
forces a write to the disk.
"""

from msgspec.structs import replace

from onlooker.config.schema import Config
from onlooker.escape import STREAMS
from onlooker.record.frame_record import build, record_id, repeated
from onlooker.record.log.states import StageState
from onlooker.record.log.writer import Writer
from onlooker.rekognition.shapes import StreamRecord
from onlooker.types import Chip, Frame

MAX_REFERENCES = 1000
"""Streams whose reference record is kept in memory."""


class Recorder:
    """Builds the records of frames and appends them to `log`."""

    def __init__(self, log: Writer) -> None:
        self._log = log
        self._gathered: list[StreamRecord] = []
        self._states: dict[tuple[str, str], StageState] = {}
        """The newest states of stages, by stream and stage."""
        self._vectors: dict[str, bytes] = {}
        """Mean embeddings of appearances."""
        self._topics: dict[str, str] = {}
        """Topics of gathered records, by RecordId, of streams that are not their own topic."""
        self._chips: dict[str, tuple[Chip, ...]] = {}
        """Changes of the images of best faces, by RecordId."""
        self._references: dict[str, StreamRecord] = {}
        """The record that each stream's unchanged frames repeat."""

    def add(
        self, frame: Frame, config: Config, analysis: str, topic: str | None = None
    ) -> StreamRecord:
        """Gather the record of `frame`, and return it.

        config, analysis: as `build` has them. topic: the topic of the log that the record is in;
        None means that of the stream's name. A frame whose reference is in the log no more is
        recorded as failed. Raises LogError if the log cannot be read.
        """
        built = build(frame, config, analysis)
        if frame.same is not None and frame.error is None:
            reference = self._reference(frame, frame.same, analysis)
            if reference is None:
                error = f"it repeats frame {frame.same}, whose record is no longer in the log"
                built = build(replace(frame, error=error), config, analysis)
            else:
                built = repeated(built, reference)
        self._gathered.append(built)
        if topic is not None:
            self._topics[built.RecordId] = topic
        for event in frame.appearances:
            if event.vector is not None and config.people.enabled:
                self._vectors[event.id] = event.vector
        if frame.chips:
            self._chips[built.RecordId] = frame.chips
        for stage, state in frame.states.items():
            self._states[frame.stream, stage] = StageState(
                frame.stream, stage, frame.epoch, frame.index, analysis, state
            )
        return built

    def commit(self) -> int:
        """Append the gathered records and return how many were not in the log before.

        After a LogError they are still gathered, and may be committed again.
        """
        added = self._log.append(
            self._gathered, self._states.values(), self._vectors, self._topics, self._chips
        )
        self._gathered.clear()
        self._topics.clear()
        self._states.clear()
        self._vectors.clear()
        self._chips.clear()
        return added

    def _reference(self, frame: Frame, index: int, analysis: str) -> StreamRecord | None:
        wanted = record_id(frame.stream, frame.epoch, index, analysis)
        found = self._references.get(frame.stream)
        if found is not None and found.RecordId == wanted:
            return found
        gathered = (record for record in self._gathered if record.RecordId == wanted)
        found = next(gathered, None) or self._log.find(wanted)
        if found is None:
            return self._repetition(frame, index, analysis)
        if len(self._references) >= MAX_REFERENCES:
            self._references.clear()
        self._references[frame.stream] = found
        return found

    def _repetition(self, frame: Frame, index: int, analysis: str) -> StreamRecord | None:
        """Return a record that repeats frame `index`, after retention has removed that one's own.

        Between a reference frame and `frame` there are mostly failed frames and others that repeat
        it, and retention keeps the newest record. None means that there was another one.
        """
        newest = self._log.newest(STREAMS.meant(frame.stream))
        if newest is None or not newest.FrameInformation.Same:
            return None
        since = newest.FrameInformation.Index
        own = newest.RecordId == record_id(frame.stream, frame.epoch, since, analysis)
        return newest if own and since > index else None
