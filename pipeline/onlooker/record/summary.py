"""People and lines of text, counted over the records of a run."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from onlooker.rekognition.shapes import StreamRecord


@dataclass(slots=True)
class Appearances:
    """One person or one line of text, over all frames of one stream."""

    stream: str
    name: str
    first: float
    """Seconds of the video."""
    last: float
    frames: int = 0
    best: float = 0.0
    """Highest Similarity or Confidence, 0 to 100."""

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
    _people: dict[tuple[str, str], Appearances] = field(default_factory=dict)
    _text: dict[tuple[str, str], Appearances] = field(default_factory=dict)

    @property
    def people(self) -> list[Appearances]:
        """People by ExternalImageId (FaceId if there is none), most frames first."""
        return _ranked(self._people.values())

    @property
    def text(self) -> list[Appearances]:
        """Lines by their exact text, most frames first."""
        return _ranked(self._text.values())

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
        people: dict[str, float] = {}
        for response in record.FaceSearchResponse:
            if response.MatchedFaces:
                best = response.MatchedFaces[0]
                name = best.Face.ExternalImageId or best.Face.FaceId
                people[name] = max(people.get(name, 0.0), best.Similarity)
        lines: dict[str, float] = {}
        for line in record.TextDetections:
            if line.Type == "LINE":
                lines[line.DetectedText] = max(lines.get(line.DetectedText, 0.0), line.Confidence)
        stream, time = record.stream, record.FrameInformation.Time
        for found, counted in ((people, self._people), (lines, self._text)):
            for name, value in found.items():
                new = Appearances(stream=stream, name=name, first=time, last=time)
                counted.setdefault((stream, name), new).add(time, value)


def _ranked(found: Iterable[Appearances]) -> list[Appearances]:
    return sorted(found, key=lambda one: (-one.frames, one.stream, one.first, one.name))
