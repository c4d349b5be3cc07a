"""Who and what was seen, counted over the records of a run."""

from collections.abc import Iterable

import msgspec

from onlooker.rekognition.shapes import StreamRecord


class Sighting(msgspec.Struct, kw_only=True):
    """One person or one line of text, over all frames of one stream."""

    stream: str
    name: str
    first: float
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


class Summary(msgspec.Struct, kw_only=True):
    """Everything one run saw, the most often seen first."""

    frames: int
    failed: int
    faces: int
    """Face detections over all frames, named or not."""
    people: list[Sighting]
    text: list[Sighting]


def summarise(records: Iterable[StreamRecord]) -> Summary:
    """Count people by ExternalImageId (best match of each face) and lines by their letters."""
    people: dict[tuple[str, str], Sighting] = {}
    text: dict[tuple[str, str], Sighting] = {}
    frames = failed = faces = 0
    for record in records:
        frames += 1
        frame = record.FrameInformation
        failed += frame.Error is not None
        stream = record.stream
        seen: dict[str, float] = {}
        read: dict[str, float] = {}
        for response in record.FaceSearchResponse:
            faces += 1
            if response.MatchedFaces:
                best = response.MatchedFaces[0]
                name = best.Face.ExternalImageId or best.Face.FaceId
                seen[name] = max(seen.get(name, 0.0), best.Similarity)
        for line in record.TextDetections:
            if line.Type == "LINE":
                read[line.DetectedText] = max(read.get(line.DetectedText, 0.0), line.Confidence)
        for found, sightings in ((seen, people), (read, text)):
            for name, value in found.items():
                new = Sighting(stream=stream, name=name, first=frame.Time, last=frame.Time)
                sightings.setdefault((stream, name), new).add(frame.Time, value)
    return Summary(
        frames=frames,
        failed=failed,
        faces=faces,
        people=_ranked(people.values()),
        text=_ranked(text.values()),
    )


def _ranked(sightings: Iterable[Sighting]) -> list[Sighting]:
    return sorted(sightings, key=lambda s: (-s.frames, s.stream, s.first, s.name))
