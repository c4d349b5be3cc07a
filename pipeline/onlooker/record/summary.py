"""People and lines of text of a run, in one row each."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from onlooker.rekognition.shapes import Appearance, Reading, StreamRecord


@dataclass(slots=True)
class Sighting:
    """A visit of one person, or one line of text over all frames of one stream."""

    stream: str
    name: str
    first: float
    """Seconds of the video."""
    last: float
    frames: int = 0
    best: float = 0.0
    """Highest Similarity or Confidence, 0 to 100; 0 for a person whom nobody matches."""

    def add(self, time: float, value: float) -> None:
        """Count one more frame, at `time` seconds."""
        self.first = min(self.first, time)
        self.last = max(self.last, time)
        self.frames += 1
        self.best = max(self.best, value)


@dataclass(slots=True)
class Summary:
    """The records of a run in numbers."""

    frames: int = 0
    failed: int = 0
    faces: int = 0
    """Face detections over all frames, named or not."""
    _visits: dict[str, tuple[str, Appearance]] = field(default_factory=dict)
    """By AppearanceId, each with its stream."""
    _readings: dict[str, tuple[str, Reading]] = field(default_factory=dict)
    """By ReadingId, each with its stream."""
    _people: dict[tuple[str, str], Sighting] = field(default_factory=dict)
    _text: dict[tuple[str, str], Sighting] = field(default_factory=dict)

    @property
    def people(self) -> list[Sighting]:
        """One row for each visit, and for each person among faces that are not tracked.

        In the order of time; the name is ExternalImageId, or FaceId if there is none.
        """
        visits = [_visit(stream, event) for stream, event in self._visits.values()]
        return sorted([*visits, *self._people.values()], key=lambda one: (one.stream, one.first))

    @property
    def text(self) -> list[Sighting]:
        """One row for each line that was followed, and for each text among others.

        In the order of time.
        """
        read = [_reading(stream, event) for stream, event in self._readings.values()]
        return sorted([*read, *self._text.values()], key=lambda one: (one.stream, one.first))

    def counting(self, records: Iterable[StreamRecord]) -> Iterator[StreamRecord]:
        """Yield `records`, each counted."""
        for record in records:
            self.add(record)
            yield record

    def add(self, record: StreamRecord) -> None:
        """Count a record; of each face the best match."""
        self.frames += 1
        self.failed += record.FrameInformation.Error is not None
        self.faces += len(record.FaceSearchResponse)
        for event in record.Appearances:
            self._visits[event.AppearanceId] = record.stream, event
        for reading in record.Readings:
            self._readings[reading.ReadingId] = record.stream, reading
        tracked = {track.Face for track in record.Tracks}
        people: dict[str, float] = {}
        for place, response in enumerate(record.FaceSearchResponse):
            if response.MatchedFaces and place not in tracked:
                best = response.MatchedFaces[0]
                name = best.Face.ExternalImageId or best.Face.FaceId
                people[name] = max(people.get(name, 0.0), best.Similarity)
        followed = {track.Line for track in record.LineTracks}
        lines: dict[str, float] = {}
        for line in record.TextDetections:
            if line.Type == "LINE" and line.Id not in followed:
                lines[line.DetectedText] = max(lines.get(line.DetectedText, 0.0), line.Confidence)
        stream, time = record.stream, record.FrameInformation.Time
        for found, counted in ((people, self._people), (lines, self._text)):
            for name, value in found.items():
                new = Sighting(stream=stream, name=name, first=time, last=time)
                counted.setdefault((stream, name), new).add(time, value)


def _visit(stream: str, event: Appearance) -> Sighting:
    return Sighting(
        stream=stream,
        name=event.Person or f"unknown {event.Index}",
        first=event.Start,
        last=event.End,
        frames=event.Frames,
        best=0.0 if event.Match is None else event.Match.Similarity,
    )


def _reading(stream: str, event: Reading) -> Sighting:
    return Sighting(
        stream=stream,
        name=event.DetectedText,
        first=event.Start,
        last=event.End,
        frames=event.Frames,
        best=event.Confidence,
    )
