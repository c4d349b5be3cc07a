"""The tracks of one stream: frames in, frames with their tracks and events out."""

import uuid
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from math import ceil, floor

import msgspec
import numpy as np
from msgspec.structs import replace

from onlooker.config.tracking import Tracks
from onlooker.media import area
from onlooker.media.picture import Picture
from onlooker.track.carried import Carried, Origin, placed
from onlooker.track.chips import chip, line_chip
from onlooker.track.face_tracker import Detected, FaceTrack, FaceTracker, Likeness
from onlooker.track.gallery import Vector, weight
from onlooker.track.line_tracker import LOOK_SIZE, LineTracker, Look, seen
from onlooker.track.signs import Signs
from onlooker.track.visits import Sight, Visits, Who, nobody
from onlooker.types import (
    Appearance,
    Box,
    Chip,
    Face,
    Frame,
    Identity,
    LineRef,
    Reading,
    TextLine,
    TrackRef,
)

LINE_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_OID, "onlooker/lines")
TRACK_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_OID, "onlooker/tracks")

MAX_SHOWN = 64
"""Analysed frames that a later one may repeat: more are never in flight."""

Search = Callable[[Vector], "list[tuple[Identity, ...]]"]
"""Returns the matches of each of the vectors (n, dim), best first."""


class StreamTracks(msgspec.Struct):
    """The state of one stream. The same state and frame give the same result."""

    faces: FaceTracker
    visits: Visits
    lines: LineTracker
    signs: Signs
    carried: Carried = msgspec.field(default_factory=Carried)
    shown: dict[int, tuple[list[int], list[int]]] = {}
    """Numbers of the tracks in each of the last analysed frames, faces and lines, by its index."""

    def take(
        self,
        frame: Frame,
        picture: Picture,
        record_id: str,
        search: Search,
        likeness: Likeness,
        chips: bool = False,
        who: Who = nobody,
    ) -> Frame:
        """Return the frame with the tracks of its faces and lines, with matches and events.

        Coordinates are those of the picture before, and of the whole image after it. chips: whether
        images of the best faces, and of lines, are to be kept. who: names unknown people.

        A frame that has failed says nothing: time goes on. A frame that repeats another continues
        that one's tracks.
        """
        time, stream = frame.started + frame.time, frame.stream
        cut: list[Chip] = []
        appearances = self._end(stream, time, time, cut, who)
        readings = self.signs.end(stream, self.lines.end(time))
        faces, lines = frame.faces, frame.lines
        if frame.same is not None:
            there = self.shown.get(frame.same, (self.faces.present, self.lines.present))
            self.faces.repeat(time, there[0])
            self.lines.repeat(time, there[1])
        elif frame.error is None:
            if frame.cut:
                self.faces.cut()
            filled, origins = self.carried.fill(frame, time)
            filled = placed(filled)
            faces, best = self._see(filled, record_id, time, search, likeness, cut)
            if chips:
                cut += _chips(filled, picture, best)
            lines = self._read(filled, origins, picture, record_id, time)
            self.shown[frame.index] = self.faces.present, self.lines.present
            while len(self.shown) > MAX_SHOWN:
                del self.shown[next(iter(self.shown))]
        if frame.error is None:
            appearances += self.visits.tell(stream, self.faces.here(), time, who)
            told = self.signs.tell(stream, self.lines.here(), time)
            readings += told
            if chips and frame.same is None:
                cut += _line_chips(frame, picture, lines, told)
        if frame.last:
            appearances += self._end(stream, None, time, cut, who)
            readings += self.signs.end(stream, self.lines.end(None))
        return replace(
            frame,
            faces=faces,
            quads=(),
            lines=lines,
            appearances=tuple(appearances),
            readings=tuple(readings),
            chips=tuple(cut) if chips else (),
        )

    def _end(
        self, stream: str, until: float | None, time: float, cut: list[Chip], who: Who
    ) -> list[Appearance]:
        """End the tracks that are over at `until`; the chips of those that do not count go."""
        over = self.faces.end(until)
        cut += [Chip(track=track.id) for track in over if not track.confirmed]
        return self.visits.end(stream, over, time, who)

    def _handed_over(self) -> list[Chip]:
        """Join the visits of tracks that continue lost ones to those of these."""
        return [
            Chip(track=track, heir=heir if self.visits.hand_over(track, heir) else None)
            for track, heir in self.faces.resumed.items()
        ]

    def _read(
        self,
        frame: Frame,
        origins: Sequence[Origin],
        picture: Picture,
        record_id: str,
        time: float,
    ) -> tuple[TextLine, ...]:
        lines = list(map(seen, frame.lines, origins))
        tracks = self.lines.update(
            time,
            lines,
            partial(_look, picture, frame.origin),
            lambda line: line_id(record_id, line),
        )
        self.signs.see(
            record_id,
            time,
            [
                (track, line, one.height if one.origin != "bridged" else 0.0)
                for track, line, one in zip(tracks, frame.lines, lines, strict=True)
            ],
        )
        return tuple(
            replace(
                line,
                track=LineRef(
                    id=track.id,
                    number=track.number,
                    text=track.ballot.text,
                    carried=origin not in ("read", "reread"),
                ),
            )
            for track, line, origin in zip(tracks, frame.lines, origins, strict=True)
        )

    def _see(
        self,
        frame: Frame,
        record_id: str,
        time: float,
        search: Search,
        likeness: Likeness,
        cut: list[Chip],
    ) -> tuple[tuple[Face, ...], list[Sight]]:
        """Return the faces with their tracks, and those that are the best of their tracks."""
        found = [
            Detected(
                face.box, weight=weight(face), vector=face.vector, like=self.carried.track(face)
            )
            for face in frame.faces
        ]
        tracks = self.faces.update(
            time, found, likeness, lambda number: track_id(record_id, number)
        )
        cut += self._handed_over()
        self.carried.follow(frame.index, tracks)
        means = [None if track is None else track.gallery.mean() for track in tracks]
        known = [mean for mean in means if mean is not None]
        matches = iter(search(np.stack(known)) if known else ())
        identities = [() if mean is None else next(matches) for mean in means]
        best = self.visits.see(
            record_id,
            time,
            [
                # A face that is unlike its track is never the best one.
                Sight(track, face, one.weight if track.doubted is None else 0.0, names)
                for track, face, one, names in zip(
                    tracks, frame.faces, found, identities, strict=True
                )
                if track is not None
            ],
        )
        faces = tuple(
            replace(
                face,
                vector=None,
                identities=names,
                like=None,
                track=self._ref(track, face.like is not None),
            )
            for face, track, names in zip(frame.faces, tracks, identities, strict=True)
        )
        return faces, best

    def _ref(self, track: FaceTrack | None, carried: bool) -> TrackRef | None:
        if track is None:
            return None
        person = self.visits.person(track.id)
        return TrackRef(id=track.id, number=track.number, person=person, carried=carried)


def begin(settings: Tracks) -> StreamTracks:
    """Return the state before the first frame."""
    return StreamTracks(
        FaceTracker(confirm=settings.confirm, absence=settings.absence),
        Visits(cooldown=settings.cooldown),
        LineTracker(absence=settings.absence),
        Signs(expect=settings.expect),
    )


def track_id(record_id: str, number: int) -> str:
    """Return the id of the track that begins with face `number` of a record."""
    return str(uuid.uuid5(TRACK_NAMESPACE, f"{record_id}/{number}"))


def line_id(record_id: str, number: int) -> str:
    """Return the id of the track that begins with line `number` of a record."""
    return str(uuid.uuid5(LINE_NAMESPACE, f"{record_id}/{number}"))


def _look(picture: Picture, origin: tuple[int, int], box: Box) -> Look:
    """Return the pixels of a place, small; `origin` is that of the picture in the whole image."""
    left, top = origin
    x1, y1 = max(0, floor(box[0] - left)), max(0, floor(box[1] - top))
    x2, y2 = min(picture.width, ceil(box[2] - left)), min(picture.height, ceil(box[3] - top))
    if x2 - x1 < 1 or y2 - y1 < 1:
        return np.zeros(LOOK_SIZE[::-1], np.uint8)
    luma = picture.luma(x1, y1, x2, y2)
    return area.resize(luma, *LOOK_SIZE)


def _chips(frame: Frame, picture: Picture, best: Sequence[Sight]) -> Iterator[Chip]:
    for sight in best:
        jpeg = chip(picture, frame.origin, sight.face.box)
        if jpeg is not None:
            yield Chip(track=sight.track.id, jpeg=jpeg)


def _line_chips(
    frame: Frame, picture: Picture, lines: Sequence[TextLine], told: Sequence[Reading]
) -> Iterator[Chip]:
    """Yield an image of each line that there is news about."""
    news = {event.id for event in told}
    for line in lines:
        if line.track is not None and line.track.id in news:
            jpeg = line_chip(picture, frame.origin, line.quad)
            if jpeg is not None:
                yield Chip(track=line.track.id, jpeg=jpeg)


def single(faces: Sequence[Face], search: Search) -> tuple[Face, ...]:
    """Return faces that are not tracked, each with the matches of its own vector."""
    vectors = [np.frombuffer(face.vector, np.float32) for face in faces if face.vector is not None]
    matches = iter(search(np.stack(vectors)) if vectors else ())
    return tuple(
        face if face.vector is None else replace(face, vector=None, identities=next(matches))
        for face in faces
    )
