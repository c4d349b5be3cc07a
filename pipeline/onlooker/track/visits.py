"""Visits: the findings about the person of each track, and the events that report them.

A visit is announced when its track is confirmed, updated when it has another name, a clearly
better image or has lasted another minute, and ended when its track is over.
"""

from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple

import msgspec
from msgspec.structs import replace

from onlooker.track.averages import Averages
from onlooker.track.face_tracker import FaceTrack
from onlooker.track.naming import Naming
from onlooker.types import Appearance, BestFace, Face, Identity

Who = Callable[[Appearance], str | None]
"""Returns the id of an unknown person whose appearance it is, or None; an "end" assigns it."""

State = Literal["new", "update", "end"]

UPDATE_SECONDS = 60.0
"""A visit that lasts is updated at least this often."""
MIN_WEIGHT = 1e-3
"""So that the attributes of faces that hardly show count too."""
BETTER = 1.25
"""A new best face must have this much more weight than the one that was told last."""
BETTER_SECONDS = 2.0
"""Time between updates for a better face."""


def nobody(event: Appearance) -> None:
    """Return None: unknown people have no ids."""


class Sight(NamedTuple):
    """A track in one frame: the detection, its weight, and whom the track's mean matches."""

    track: FaceTrack
    face: Face
    weight: float
    identities: tuple[Identity, ...]


class Visit(msgspec.Struct):
    """The findings about one track beyond its motion."""

    best: BestFace
    naming: Naming = msgspec.field(default_factory=Naming)
    averages: Averages = msgspec.field(default_factory=Averages)
    frames: int = 0
    told_at: float | None = None
    """Time of the last event; None before the first."""
    told_weight: float = 0.0
    told_person: str | None = None
    """Weight of the best face, and the name, in the last event."""
    quiet: bool = False
    """It began within the cooldown after the same person's last visit."""


class Visits(msgspec.Struct):
    """The visits of one stream; part of the state that a snapshot holds.

    cooldown: seconds after a person's visit in which another one of the same person is quiet.
    """

    cooldown: float = 0.0
    visits: dict[str, Visit] = {}
    """By the id of the track."""
    left: dict[str, float] = {}
    """The time at which each person's last visit ended, during the cooldown."""

    def see(self, record_id: str, time: float, sights: Iterable[Sight]) -> list[Sight]:
        """Take note of the faces of one frame; return those that are the best of their tracks."""
        best = []
        for sight in sights:
            track, face, weight, identities = sight
            shown = BestFace(
                record_id=record_id, time=time, face=replace(face, vector=None), weight=weight
            )
            visit = self.visits.setdefault(track.id, Visit(shown))
            visit.frames += 1
            if visit.best is shown or weight > visit.best.weight:
                visit.best = shown
                best.append(sight)
            if face.attributes is not None:
                visit.averages.add(face.attributes, max(weight, MIN_WEIGHT))
            if track.confirmed:
                visit.naming.update(identities, time)
        return best

    def hand_over(self, track: str, heir: str) -> bool:
        """Add the visit of a track to the one that it continues; return whether its face is better.

        A track that continues another was never confirmed, so no event has its id.
        """
        visit, other = self.visits.pop(track, None), self.visits.get(heir)
        if visit is None or other is None:
            return False
        other.frames += visit.frames
        other.averages.add_all(visit.averages)
        better = visit.best.weight > other.best.weight
        if better:
            other.best = visit.best
        return better

    def person(self, track: str) -> str | None:
        """Return the name of a track so far."""
        visit = self.visits.get(track)
        return None if visit is None else visit.naming.person

    def tell(
        self, stream: str, tracks: Iterable[FaceTrack], time: float, who: Who = nobody
    ) -> list[Appearance]:
        """Return the events that are due for the tracks that are present at `time`."""
        events = []
        for track in sorted(tracks, key=lambda each: each.number):
            visit = self.visits.get(track.id)
            if visit is None or not track.confirmed:
                continue
            state = self._due(visit, time)
            if state is not None:
                events.append(self._tell(stream, track, visit, state, time, who))
        return events

    def end(
        self, stream: str, tracks: Iterable[FaceTrack], time: float, who: Who = nobody
    ) -> list[Appearance]:
        """Remove the visits of tracks that are over; return the last event of each."""
        self.left = {
            person: ended for person, ended in self.left.items() if time - ended <= self.cooldown
        }
        events = []
        for track in sorted(tracks, key=lambda each: each.number):
            visit = self.visits.pop(track.id, None)
            if visit is None or not track.confirmed:
                continue
            event = self._tell(stream, track, visit, "end", track.last, who)
            if event.person is not None and self.cooldown > 0:
                self.left[event.person] = track.last
            events.append(event)
        return events

    def _due(self, visit: Visit, time: float) -> State | None:
        """Return the state of the event that must be told now, if there is one."""
        if visit.told_at is None:
            return "new"
        since = time - visit.told_at
        if since >= UPDATE_SECONDS or visit.naming.person != visit.told_person:
            return "update"
        better = visit.best.weight > BETTER * visit.told_weight
        return "update" if better and since >= BETTER_SECONDS else None

    def _tell(
        self, stream: str, track: FaceTrack, visit: Visit, state: State, time: float, who: Who
    ) -> Appearance:
        best = visit.best.face
        attributes = visit.averages.mean(best.attributes)
        event = Appearance(
            id=track.id,
            state=state,
            stream=stream,
            number=track.number,
            start=track.first,
            end=track.last,
            person=visit.naming.person,
            match=visit.naming.best,
            frames=visit.frames,
            best=replace(visit.best, face=replace(best, attributes=attributes)),
            together=tuple(track.together),
            vector=None if (mean := track.gallery.mean()) is None else mean.tobytes(),
        )
        person = who(event) if event.person is None else event.person
        if state == "new" and person is not None:
            visit.quiet = time - self.left.get(person, -self.cooldown - 1) <= self.cooldown
        visit.told_at, visit.told_weight = time, visit.best.weight
        visit.told_person = visit.naming.person
        return replace(event, person=person, quiet=visit.quiet)
