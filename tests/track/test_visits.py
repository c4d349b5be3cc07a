from collections.abc import Sequence
from itertools import chain

import pytest

from onlooker.track.box_motion import begin
from onlooker.track.face_tracker import FaceTrack
from onlooker.track.visits import UPDATE_SECONDS, Sight, Visits, Who, nobody
from onlooker.types import Appearance, Attributes, Face, Identity, Pose, Quality, StoredFace

BOX = (0.0, 0.0, 40.0, 40.0)


def face(attributes: Attributes | None = None) -> Face:
    return Face(
        box=BOX,
        score=1.0,
        points=((0, 0),) * 5,
        pose=Pose(roll=0, yaw=0, pitch=0),
        quality=Quality(brightness=50, sharpness=90),
        attributes=attributes,
    )


def match(name: str) -> Identity:
    stored = StoredFace(
        face_id="f", image_id="i", external_image_id=name, box=(0, 0, 1, 1), confidence=99
    )
    return Identity(similarity=91.0, face=stored)


class Stream:
    """Visits of a stream whose frames a test gives one by one."""

    def __init__(self, cooldown: float = 0.0, who: Who = nobody) -> None:
        self.who = who
        self.visits = Visits(cooldown=cooldown)
        self.events: list[Appearance] = []

    def show(
        self,
        track: FaceTrack,
        time: float,
        weight: float = 0.5,
        names: Sequence[Identity] = (),
        attributes: Attributes | None = None,
    ) -> list[str]:
        track.last = time
        sight = Sight(track, face(attributes), weight, tuple(names))
        self.visits.see(f"record-{time:g}", time, [sight])
        return self._told(self.visits.tell("door", [track], time, self.who))

    def end(self, track: FaceTrack, time: float) -> list[str]:
        return self._told(self.visits.end("door", [track], time, self.who))

    def _told(self, events: list[Appearance]) -> list[str]:
        self.events += events
        return [event.state for event in events]


def new_track(name: str = "t", number: int = 0, confirmed: bool = True) -> FaceTrack:
    return FaceTrack(name, number, begin(BOX, 0.0), 0.0, 0.0, confirmed=confirmed)


def test_a_visit_is_new_then_ends_with_the_same_id() -> None:
    stream, track = Stream(), new_track()
    assert stream.show(track, 1.0, 0.5, [match("anna")]) == ["new"]
    assert stream.show(track, 1.1, 0.6, [match("anna")]) == []
    assert stream.end(track, 12.0) == ["end"]
    first, last = stream.events
    assert first.id == last.id
    assert (last.start, last.end, last.frames, last.person) == (0.0, 1.1, 2, "anna")
    assert (last.best.record_id, last.best.weight) == ("record-1.1", 0.6)


def test_a_track_that_is_not_confirmed_causes_no_events() -> None:
    stream, track = Stream(), new_track(confirmed=False)
    assert stream.show(track, 1.0) == []
    assert stream.end(track, 3.0) == []


def test_a_name_that_comes_later_is_an_update() -> None:
    stream, track = Stream(), new_track()
    assert stream.show(track, 1.0) == ["new"]
    assert stream.show(track, 1.1, 0.5, [match("anna")]) == ["update"]
    assert stream.visits.person("t") == "anna"


def test_a_visit_that_lasts_is_updated_every_minute() -> None:
    stream, track = Stream(), new_track()
    states = [stream.show(track, float(second)) for second in range(int(3 * UPDATE_SECONDS))]
    assert list(chain.from_iterable(states)) == ["new", "update", "update"]


def test_a_clearly_better_face_is_an_update_and_a_slightly_better_one_is_none() -> None:
    stream, track = Stream(), new_track()
    stream.show(track, 1.0, 0.5)
    assert stream.show(track, 5.0, 0.55) == []
    assert stream.show(track, 6.0, 0.9) == ["update"]


def test_attributes_are_the_means_of_the_visit() -> None:
    stream, track = Stream(), new_track()
    stream.show(track, 1.0, 0.5, attributes=Attributes(smile=1.0))
    stream.show(track, 2.0, 0.5, attributes=Attributes(smile=0.5))
    stream.end(track, 9.0)
    attributes = stream.events[-1].best.face.attributes
    assert attributes is not None
    assert attributes.smile == 0.75


def test_who_comes_again_within_the_cooldown_is_quiet() -> None:
    stream = Stream(cooldown=30)
    for number, (time, quiet) in enumerate([(0.0, False), (20.0, True), (80.0, False)]):
        track = new_track(f"t{number}", number)
        stream.show(track, time, names=[match("anna")])
        stream.end(track, time + 10)
        assert [event.quiet for event in stream.events[-2:]] == [quiet, quiet]


def test_events_of_one_frame_come_in_the_order_of_the_tracks() -> None:
    visits = Visits()
    tracks = [new_track(f"t{number}", number) for number in (2, 0, 1)]
    visits.see("r", 0.0, [Sight(track, face(), 0.5, ()) for track in tracks])
    assert [event.number for event in visits.tell("door", tracks, 0.0)] == [0, 1, 2]


def test_a_track_that_continues_a_visit_hands_over_what_it_saw() -> None:
    stream, first, second = Stream(), new_track("a"), new_track("b", 1, confirmed=False)
    stream.show(first, 1.0, 0.4, attributes=Attributes(smile=1.0))
    stream.show(second, 8.0, 0.9, attributes=Attributes(smile=0.0))
    stream.show(second, 8.1, 0.2)
    assert stream.visits.hand_over("b", "a")
    assert list(stream.visits.visits) == ["a"]
    stream.end(first, 20.0)
    last = stream.events[-1]
    assert (last.id, last.frames, last.best.record_id) == ("a", 3, "record-8")
    assert last.best.face.attributes is not None
    assert last.best.face.attributes.smile == pytest.approx(0.4 / 1.3)


def test_a_poorer_face_is_not_handed_over() -> None:
    stream, first, second = Stream(), new_track("a"), new_track("b", 1, confirmed=False)
    stream.show(first, 1.0, 0.4)
    stream.show(second, 8.0, 0.3)
    assert not stream.visits.hand_over("b", "a")
    assert stream.visits.visits["a"].best.record_id == "record-1"


def test_the_best_faces_of_a_frame() -> None:
    visits, track = Visits(), new_track()
    found = [
        len(visits.see(f"r{n}", n, [Sight(track, face(), weight, ())]))
        for n, weight in enumerate([0.5, 0.4, 0.5, 0.6])
    ]
    assert found == [1, 0, 0, 1]


def test_events_of_unknown_people_have_their_ids_and_names_come_first() -> None:
    asked: list[tuple[str, str]] = []

    def who(event: Appearance) -> str | None:
        asked.append((event.id, event.state))
        return "unknown-000001" if event.state == "end" else None

    stream, track = Stream(who=who), new_track()
    stream.show(track, 1.0)
    stream.show(track, 4.0, 0.9)
    stream.end(track, 20.0)
    assert [event.person for event in stream.events] == [None, None, "unknown-000001"]
    assert asked == [("t", "new"), ("t", "update"), ("t", "end")]
    other = new_track("other", 1)
    stream.show(other, 30.0, names=[match("anna")])
    assert stream.events[-1].person == "anna"
    assert len(asked) == 3


def test_the_cooldown_knows_unknown_people() -> None:
    stream = Stream(cooldown=30, who=lambda event: "unknown-000001")
    for number, time in enumerate([0.0, 20.0]):
        track = new_track(f"t{number}", number)
        stream.show(track, time)
        stream.end(track, time + 10)
    assert [event.quiet for event in stream.events] == [False, False, True, True]
