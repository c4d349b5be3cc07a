"""The entries that a job makes of each frame: faces, people or text, in Amazon's form."""

from collections.abc import Callable, Iterable
from typing import Protocol

import msgspec
from msgspec.structs import replace

from onlooker.config.schema import Config
from onlooker.identity.search.searcher import Searcher
from onlooker.identity.search.similarity import likeness
from onlooker.jobs.cadence import milliseconds
from onlooker.jobs.job import Request
from onlooker.jobs.result_file import Entry
from onlooker.media.picture import Planes
from onlooker.models.card import space
from onlooker.rekognition.face_detail import face_detail, face_match, fields
from onlooker.rekognition.ratios import percent
from onlooker.rekognition.text_detection import text_detections
from onlooker.track import stream_tracks
from onlooker.track.face_tracker import FaceTracker
from onlooker.track.gallery import Vector, vector
from onlooker.track.stream_tracks import StreamTracks
from onlooker.types import Appearance, Frame, Identity
from onlooker.vision.analyser import Analysis, Wanted
from onlooker.vision.unindexed_reasons import passing

MAX_FACES = 100
"""Faces of a frame that are analysed, the largest ones."""
MAX_WORDS = 100
MAX_ANGLE_DEGREES = 90.0


class Maker(Protocol):
    """The part of a job that differs by its kind."""

    wanted: Wanted
    """The analysis of a frame."""
    people: dict[int, bytes]
    """FaceMatches of tracks that have ended, until `drain`."""
    same: dict[int, int]
    """Tracks that turned out to continue earlier ones, until `drain`."""

    def entries(self, frame: Frame, picture: Planes, analysis: Analysis) -> list[Entry]:
        """Return the entries of the next frame."""

    def finish(self) -> None:
        """Take note that there are no more frames."""

    def snapshot(self) -> bytes:
        """Return the state after the last frame, for `maker`."""


class Faces:
    """FaceDetection."""

    def __init__(self, request: Request) -> None:
        self._attributes = ("ALL",) if request.attributes == "ALL" else ()
        self.wanted = Wanted(
            text=False, mesh=True, max_faces=MAX_FACES, attributes=fields(self._attributes)
        )
        self.people: dict[int, bytes] = {}
        self.same: dict[int, int] = {}

    def entries(self, frame: Frame, picture: Planes, analysis: Analysis) -> list[Entry]:
        size, time = (frame.width, frame.height), milliseconds(frame)
        details = [face_detail(each.face, size, self._attributes) for each in analysis.faces]
        # Amazon does not determine these two in videos.
        details = [replace(each, FaceOccluded=None, EyeDirection=None) for each in details]
        return [Entry(time, msgspec.json.encode(each)) for each in details]

    def finish(self) -> None:
        pass

    def snapshot(self) -> bytes:
        return b""


class Text:
    """TextDetection."""

    def __init__(self, request: Request) -> None:
        self.wanted = Wanted(faces=False)
        self._filters = request.filters
        self.people: dict[int, bytes] = {}
        self.same: dict[int, int] = {}

    def entries(self, frame: Frame, picture: Planes, analysis: Analysis) -> list[Entry]:
        found = text_detections(
            analysis.lines,
            (frame.width, frame.height),
            filters=self._filters,
            max_words=MAX_WORDS,
            max_angle=MAX_ANGLE_DEGREES,
        )
        time = milliseconds(frame)
        return [Entry(time, msgspec.json.encode(each)) for each in found]

    def finish(self) -> None:
        pass

    def snapshot(self) -> bytes:
        return b""


class State(msgspec.Struct):
    """The snapshot of People."""

    tracks: StreamTracks
    numbers: dict[str, int] = {}
    """Of the tracks that may yet turn out to continue earlier ones, by id."""


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(State)


class People:
    """FaceSearch and PersonTracking: faces along their tracks.

    All entries of a track have the matches of the mean of its faces, once it has ended: so the
    first frames of somebody who comes nearer have the name too. searcher: None if nobody is
    searched. state: of `snapshot`.
    """

    def __init__(
        self, request: Request, config: Config, searcher: Searcher | None, state: bytes
    ) -> None:
        self.wanted = Wanted(text=False, max_faces=MAX_FACES, select=passing(config.faces.quality))
        self.people: dict[int, bytes] = {}
        self.same: dict[int, int] = {}
        self._request = request
        self._max_matches = config.match.max_faces
        self._searcher = searcher
        self._likeness = likeness(space(config.faces.embedder))
        begun = State(stream_tracks.begin(config.tracks))
        self._state = _decoder.decode(state) if state else begun

    def entries(self, frame: Frame, picture: Planes, analysis: Analysis) -> list[Entry]:
        size, time = (frame.width, frame.height), milliseconds(frame)
        faces = tuple(
            each.face if each.vector is None else replace(each.face, vector=each.vector.tobytes())
            for each in analysis.faces
        )
        frame = replace(frame, faces=faces)
        name = f"{frame.epoch}/{frame.index}"
        tracks = self._state.tracks
        taken = tracks.take(frame, picture, name, self._search, self._likeness)
        self._note_same(tracks.faces)
        self._take_ended(taken.appearances)
        return [
            Entry(
                time,
                msgspec.json.encode(face_detail(face, size)),
                face.track.number,
                percent(face.score),
                _matches(face.identities),
            )
            for face in taken.faces
            if face.track is not None
        ]

    def finish(self) -> None:
        tracks = self._state.tracks
        events = tracks.visits.end("", tracks.faces.end(None), 0.0)
        self._take_ended(events)

    def snapshot(self) -> bytes:
        return _encoder.encode(self._state)

    def _note_same(self, tracker: FaceTracker) -> None:
        """Take note of the tracks that the last frame showed to continue earlier ones."""
        now = {track.id: track.number for track in tracker.tracks}
        for track, earlier in tracker.resumed.items():
            if track in self._state.numbers:
                self.same[self._state.numbers[track]] = now[earlier]
        self._state.numbers = now

    def _take_ended(self, events: Iterable[Appearance]) -> None:
        if self._searcher is None:
            return
        for event in events:
            if event.state == "end" and event.vector is not None:
                [found] = self._search(vector(event.vector)[None])
                self.people[event.number] = _matches(found) or b""

    def _search(self, vectors: Vector) -> list[tuple[Identity, ...]]:
        if self._searcher is None:
            return [()] * len(vectors)
        assert self._request.collection is not None
        return self._searcher.search_faces(
            self._request.collection, vectors, self._request.threshold, self._max_matches
        )


def _matches(identities: tuple[Identity, ...]) -> bytes | None:
    """Return FaceMatches as JSON; None if there is no match."""
    return msgspec.json.encode([face_match(each) for each in identities]) if identities else None


def maker(
    request: Request, config: Config, searcher: Callable[[], Searcher], state: bytes
) -> Maker:
    """Return what makes a job's entries, from `state` on."""
    if request.kind == "FaceDetection":
        return Faces(request)
    if request.kind == "TextDetection":
        return Text(request)
    return People(request, config, searcher() if request.kind == "FaceSearch" else None, state)
