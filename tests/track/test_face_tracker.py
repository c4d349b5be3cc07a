import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onlooker.track.face_tracker import Detected, FaceTracker, likeness_evidence
from onlooker.track.gallery import Vector
from onlooker.types import Box

DIM = 256


def likeness(one: Vector, other: Vector) -> float:
    cosine = float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))
    return 100 / (1 + math.exp(-21.7 * (cosine - 0.48)))


def photo(person: int, number: int = 0) -> bytes:
    """Return the vector of an image of a made-up person; two of one person have a cosine of .7."""
    own = np.random.default_rng(person).normal(size=DIM)
    noise = np.random.default_rng([person, number]).normal(size=DIM)
    mixed = own / np.linalg.norm(own) + 0.65 * noise / np.linalg.norm(noise)
    return np.asarray(mixed / np.linalg.norm(mixed), np.float32).tobytes()


def box(x: float, y: float = 100, side: float = 40) -> Box:
    return x - side / 2, y - side / 2, x + side / 2, y + side / 2


class Scene:
    """A tracker, and the ids that it gave to each person."""

    def __init__(self, fps: float = 10) -> None:
        self.tracker = FaceTracker(confirm=0.5, absence=10)
        self.fps = fps
        self.time = 0.0
        self.ids: dict[int, list[str]] = {}

    def show(self, seen: dict[int, float], number: int = 0, vectors: bool = True) -> None:
        """Show people for one frame, each at this x."""
        self.time += 1 / self.fps
        self.tracker.end(self.time)
        found = [
            Detected(box(x), weight=0.8, vector=photo(person, number) if vectors else None)
            for person, x in seen.items()
        ]
        tracks = self.tracker.update(
            self.time, found, likeness, lambda face: f"{self.time:.2f}/{face}"
        )
        for person, track in zip(seen, tracks, strict=True):
            assert track is not None
            ids = self.ids.setdefault(person, [])
            if track.id not in ids:
                ids.append(track.id)

    def wait(self, seconds: float) -> None:
        for _ in range(round(seconds * self.fps)):
            self.show({})


@pytest.mark.parametrize("fps", [3, 5, 10, 30])
@pytest.mark.parametrize("vectors", [True, False])
def test_two_people_who_walk_keep_their_ids(fps: float, vectors: bool) -> None:
    scene = Scene(fps)
    for number in range(round(3 * fps)):
        step = number / fps * 60
        scene.show({1: 100 + step, 2: 400 - step / 2}, number, vectors)
    assert [len(ids) for ids in scene.ids.values()] == [1, 1]


def test_people_who_cross_keep_their_ids() -> None:
    scene = Scene()
    for number in range(40):
        scene.show({1: 100 + 8 * number, 2: 412 - 8 * number}, number)
    assert [len(ids) for ids in scene.ids.values()] == [1, 1]


@pytest.mark.parametrize("seconds", [0.3, 1, 3, 9])
def test_who_comes_back_elsewhere_within_the_absence_is_the_same(seconds: float) -> None:
    scene = Scene()
    for number in range(10):
        scene.show({1: 100, 2: 300}, number)
    scene.wait(seconds)
    for number in range(10, 20):
        scene.show({1: 500, 2: 100}, number)
    assert [len(ids) for ids in scene.ids.values()] == [1, 1]


def test_a_poor_first_image_does_not_make_another_person() -> None:
    scene = Scene()
    for number in range(10):
        scene.show({1: 100}, number)
    scene.wait(2)
    known = scene.ids[1][0]
    tracker = scene.tracker
    mixed = np.frombuffer(photo(1), np.float32) + 2 * np.frombuffer(photo(99), np.float32)
    blurred = (mixed / np.linalg.norm(mixed)).tobytes()
    for number in range(10):
        scene.time += 0.1
        vector = blurred if number < 2 else photo(1, number)
        weight = 0.05 if number < 2 else 0.8
        found = [Detected(box(400), weight=weight, vector=vector)]
        [track] = tracker.update(scene.time, found, likeness, lambda _: "other")
    assert track is not None
    assert track.id == known
    assert [each.id for each in tracker.tracks] == [known]


def test_who_comes_back_after_the_absence_is_a_new_track() -> None:
    scene = Scene()
    for number in range(10):
        scene.show({1: 100}, number)
    scene.wait(10.5)
    scene.show({1: 100}, 10)
    assert len(scene.ids[1]) == 2


@pytest.mark.parametrize(("cut", "seconds"), [(True, 0.0), (False, 0.3)])
def test_a_stranger_in_the_same_place_is_a_new_track(cut: bool, seconds: float) -> None:
    """At once after a cut; otherwise as soon as it is more than a face that was badly found."""
    scene = Scene()
    for number in range(10):
        scene.show({1: 100}, number)
    if cut:
        scene.tracker.cut()
    began = scene.time
    for number in range(10):
        scene.show({2: 100}, number)
    stranger = scene.tracker.tracks[-1]
    assert stranger.id == scene.ids[2][-1] != scene.ids[1][0]
    assert scene.ids[2][:-1] == (scene.ids[1] if seconds else [])
    assert stranger.first == pytest.approx(began + 0.1 + seconds)
    own = scene.tracker.tracks[0].gallery.exemplars
    assert all(each.time <= began for each in own)


def test_a_face_that_is_badly_found_once_stays_with_its_track() -> None:
    scene = Scene()
    for number in range(20):
        scene.show({9 if number in (8, 15) else 1: 100 + 2 * number, 2: 400}, number)
    [first, second] = scene.tracker.tracks
    assert scene.ids == {1: [first.id], 9: [first.id], 2: [second.id]}
    nobody = photo(9, 8), photo(9, 15)
    assert not any(each.vector in nobody for each in first.gallery.exemplars)


def test_a_face_beside_another_one_must_be_like_its_track() -> None:
    scene = Scene()
    for number in range(10):
        scene.show({1: 100, 2: 130}, number)
    for number in range(2):
        scene.show({1: 100, 3: 130}, number)
    assert scene.ids[3][0] not in scene.ids[2]


def test_a_stranger_who_comes_later_is_a_new_track() -> None:
    scene = Scene()
    for number in range(10):
        scene.show({1: 100}, number)
    scene.wait(2)
    scene.show({2: 100})
    assert scene.ids[1] != scene.ids[2]


def test_a_face_that_was_seen_once_is_not_confirmed_and_ends_soon() -> None:
    scene = Scene()
    scene.show({1: 100})
    [track] = scene.tracker.tracks
    assert not track.confirmed
    scene.wait(1.2)
    assert scene.tracker.tracks == []


@pytest.mark.parametrize(("best", "seconds"), [(0.003, 1.0), (0.3, 0.5)])
def test_a_face_that_hardly_shows_must_be_there_for_longer(best: float, seconds: float) -> None:
    tracker = FaceTracker(confirm=0.5, absence=10)
    since = None
    for number in range(20):
        weight = best if number == 2 else 0.003
        [track] = tracker.update(number / 10, [Detected(box(100), weight=weight)], likeness, str)
        assert track is not None
        if track.confirmed and since is None:
            since = track.last - track.first
    assert since == pytest.approx(seconds)


def test_a_slow_camera_that_drops_frames_confirms_a_face() -> None:
    scene = Scene(fps=1)
    scene.show({1: 100})
    scene.time += 2  # two frames are dropped
    scene.show({1: 100}, 1)
    [track] = scene.tracker.tracks
    assert track.confirmed
    assert (track.first, track.last) == (1, 4)


@given(fps=st.sampled_from([1, 2, 5]), gaps=st.lists(st.integers(0, 8), min_size=2, max_size=8))
def test_who_stands_there_is_one_track_whatever_is_dropped(fps: int, gaps: list[int]) -> None:
    scene = Scene(fps)
    for number, gap in enumerate(gaps):
        scene.time += gap / fps  # less than an absence
        scene.show({1: 100, 2: 300}, number)
    assert [len(ids) for ids in scene.ids.values()] == [1, 1]


def test_unsure_detections_continue_a_track_but_begin_none() -> None:
    tracker = FaceTracker(confirm=0.5, absence=10)
    unsure = Detected(box(100), sure=False)
    assert tracker.update(0.0, [unsure], likeness, str) == [None]
    [first] = tracker.update(0.1, [Detected(box(100))], likeness, str)
    assert tracker.update(0.2, [unsure], likeness, str) == [first]
    assert tracker.update(0.3, [Detected(box(400), sure=False)], likeness, str) == [None]


def test_a_repeated_image_keeps_all_that_were_there_and_no_others() -> None:
    tracker = FaceTracker(confirm=0.5, absence=10)
    tracker.update(0.0, [Detected(box(100)), Detected(box(300))], likeness, str)
    [first] = tracker.update(0.1, [Detected(box(100))], likeness, str)
    tracker.repeat(8.0, tracker.present)
    assert first is not None
    assert [track.last for track in tracker.tracks] == [8.0, 0.0]
    assert tracker.here() == [first]


def test_after_a_cut_only_the_face_says_whose_it_is() -> None:
    """Somebody in the place of somebody else, in an image that tells little about the face."""
    for vector, same in ((photo(1, 9), True), (photo(2), False), (None, False)):
        scene = Scene()
        for number in range(10):
            scene.show({1: 100}, number)
        scene.tracker.cut()
        found = [Detected(box(100), weight=0.05, vector=vector)]
        [track] = scene.tracker.update(scene.time + 0.1, found, likeness, lambda _: "other")
        assert track is not None
        assert (track.id == scene.ids[1][0]) == same


def test_all_tracks_end_with_the_video() -> None:
    tracker = FaceTracker(confirm=0.5, absence=10)
    tracker.update(0.0, [Detected(box(100)), Detected(box(300))], likeness, str)
    assert len(tracker.end(None)) == 2
    assert tracker.tracks == []


@given(st.floats(0, 100), st.floats(0, 100))
def test_evidence_grows_with_similarity_and_is_bounded(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert -8 <= likeness_evidence(low) <= likeness_evidence(high) <= 6


def test_evidence_is_for_the_same_person_where_the_calibration_matches() -> None:
    assert likeness_evidence(80) > 2
    assert likeness_evidence(0.01) < -2


def test_unlikeness_of_poor_faces_tells_less() -> None:
    assert likeness_evidence(0.1, 1.0) < likeness_evidence(0.1, 0.5) < 0
    assert likeness_evidence(90, 1.0) == likeness_evidence(90, 0.5)


def test_a_track_that_continues_a_lost_one_leaves_nothing_behind() -> None:
    scene = Scene()
    for number in range(10):
        scene.show({1: 100}, number)
    scene.wait(3)
    scene.show({1: 500, 2: 300}, 20, vectors=False)
    [tentative] = [each for each in scene.tracker.tracks if each.id == scene.ids[1][-1]]
    while not scene.tracker.resumed:
        scene.show({1: 500, 2: 300}, 21)
        assert scene.time < 10
    assert scene.tracker.resumed == {tentative.id: scene.ids[1][0]}
    [lost] = [each for each in scene.tracker.tracks if each.id == scene.ids[1][0]]
    [other] = [each for each in scene.tracker.tracks if each.id == scene.ids[2][-1]]
    assert other.id in lost.together
    assert lost.id in other.together
    assert tentative.id not in other.together
    scene.show({1: 500, 2: 300}, 22)
    assert scene.tracker.resumed == {}
