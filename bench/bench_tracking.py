"""People followed through videos with exact truth, beside the trackers of the package `trackers`.

The videos are made from photographs of the samples (`bench.support.scenes`). All trackers get the
boxes that Onlooker detects. The others get those of every frame; Onlooker searches where something
new is to be seen and at intervals, as it does in videos, or everywhere with `--every`. ByteTrack,
OC-SORT and BoT-SORT (trackers 2.6.1, Apache-2.0) run in an environment of their own, since that
package needs another OpenCV:

    python3 -m venv build/peers && build/peers/bin/pip install trackers==2.6.1
    python -m bench.bench_tracking [--peers build/peers/bin/python]

Half of the people are enrolled with one photograph; the others get ids as with `[people]`. Prints
for each kind of video IDF1 and switches of identity: of Onlooker by person, which is the name or
the id that an appearance has in the end, and by track, which is one appearance. Boxes of tracks
that are no appearance have no id, nor have those that the others have not confirmed. Then come
appearances for each true one, names, and the time for a frame.
"""

import argparse
import json
import os
import subprocess
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before NumPy is imported

import skimage.data
from bench.support.machine import measured_with
from bench.support.scenes import HEIGHT, WIDTH, Portrait, Scene, Truth, portraits, render, scenes
from bench.support.tracking_score import Score, matched, score
from msgspec.structs import replace

from onlooker.config.schema import Config
from onlooker.config.tracking import Tracks
from onlooker.identity.people.people import People, open_people
from onlooker.identity.search.similarity import likeness, similarity
from onlooker.media import image
from onlooker.media.picture import Pixels, Planes, Still
from onlooker.media.search_schedule import SearchSchedule
from onlooker.models.card import Calibration, space
from onlooker.stream.stage import NoPicture
from onlooker.stream.track_step import visitor
from onlooker.track.associations import Associations
from onlooker.track.face_tracker import Likeness
from onlooker.track.gallery import Vector
from onlooker.track.stream_tracks import StreamTracks, begin
from onlooker.types import Appearance, Face, Frame, Identity, StoredFace
from onlooker.vision.analyser import AnalysedFace, Analyser, Wanted
from onlooker.vision.unindexed_reasons import passing

WANTED = Wanted(text=False, select=passing("AUTO"))
OURS, TRACKS = "Onlooker", "by track"
NONE = (-1, "")
"""Ids of boxes that belong to no track."""


class Video:
    """A scene as it was rendered and analysed."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.frames: list[Frame] = []
        """With their faces as the track stage gets them."""
        self.truths: list[list[Truth]] = []
        self.detected: list[tuple[Face, ...]] = []
        """The faces of each frame, had it been searched."""

    def boxes(self) -> list[tuple[float, list[list[float]]]]:
        return [
            (frame.time, [[*map(float, face.box), face.score] for face in faces])
            for frame, faces in zip(self.frames, self.detected, strict=True)
        ]


def analysed(
    scene: Scene,
    analyser: Analyser,
    people: dict[str, list[Portrait]],
    street: Pixels,
    every: bool = False,
) -> Video:
    """Return a scene whose faces are searched by need, or in every frame."""
    video, schedule, associations = Video(scene), SearchSchedule(text=False), Associations()
    for index, when, pixels, truth in render(scene, people, street):
        frame = Frame(
            stream="s",
            epoch="e",
            index=index,
            pts=round(when * 1000),
            time_base=(1, 1000),
            fragment=0,
            fragment_pts=0,
            started=0.0,
            width=WIDTH,
            height=HEIGHT,
        )
        detected: tuple[Face, ...] = ()
        if pixels is None:
            frame = associations.take(frame, NoPicture(), carries=not every)
        else:
            picture = Still(pixels)
            [detection] = analyser.detect([picture], [WANTED])
            detected = detection.faces
            if not every and schedule(frame.time, Planes.of(picture)) == "none":
                frame = associations.take(replace(frame, carried=True), picture, carries=True)
            else:
                found = replace(frame, faces=detected)
                frame = associations.take(found, picture, carries=not every)
                [analysis] = analyser.recognise([picture], [detection], [WANTED])
                own = zip(frame.faces, analysis.faces, strict=True)
                frame = replace(
                    frame, faces=tuple(a if a.like is not None else recognised(b) for a, b in own)
                )
        video.frames.append(frame)
        video.truths.append(truth)
        video.detected.append(detected)
    video.frames[-1] = replace(video.frames[-1], last=True)
    return video


def recognised(one: AnalysedFace) -> Face:
    return one.face if one.vector is None else replace(one.face, vector=one.vector.tobytes())


class Known:
    """The enrolled people, searched naively."""

    def __init__(self, calibration: Calibration) -> None:
        self.calibration = calibration
        self.names: list[str] = []
        self.vectors: list[Vector] = []

    def search(self, vectors: Vector) -> list[tuple[Identity, ...]]:
        return [self._matches(vector) for vector in vectors]

    def _matches(self, vector: Vector) -> tuple[Identity, ...]:
        found = [
            Identity(
                similarity=similarity(float(own @ vector), self.calibration), face=_stored(name)
            )
            for name, own in zip(self.names, self.vectors, strict=True)
        ]
        good = [one for one in found if one.similarity >= 80]
        return tuple(sorted(good, key=lambda one: -one.similarity))


def _stored(name: str) -> StoredFace:
    return StoredFace(
        face_id=name, image_id=name, external_image_id=name, box=(0, 0, 1, 1), confidence=99
    )


class Followed(NamedTuple):
    """The results of Onlooker for a video.

    ids: of the track of each frame's faces. events: the last one of each appearance. recognised:
    number of faces that were.
    """

    faces: list[tuple[Face, ...]]
    ids: list[list[str]]
    events: list[Appearance]
    seconds: float
    recognised: int

    def named(self, names: Mapping[str, str]) -> list[list[str]]:
        """Return the ids with other ones in their places; "" for a track without one."""
        return [[names.get(each, "") for each in frame] for frame in self.ids]


def followed(video: Video, known: Known, tracks: StreamTracks, like: Likeness) -> Followed:
    faces, ids, events = [], [], []
    actors = "-".join(actor.person for actor in video.scene.actors)
    began = time.process_time()
    for frame in video.frames:
        record = f"{video.scene.kind}-{actors}-{frame.index}"
        done = tracks.take(frame, NoPicture(), record, known.search, like)
        faces.append(done.faces)
        ids.append([face.track.id if face.track else "" for face in done.faces])
        events += [event for event in done.appearances if event.state == "end"]
    number = sum(face.like is None for frame in video.frames for face in frame.faces)
    return Followed(faces, ids, events, time.process_time() - began, number)


def persons(events: Sequence[Appearance], people: People) -> dict[str, str]:
    """Return the id of the person of each appearance: a name, an unknown person's, or its own."""
    found = {}
    for event in events:
        person = event.person
        if person is None and event.vector is not None:
            person = people.join(visitor(event, event.vector))
        found[event.id] = person or event.id
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", help="Python of the environment with the package trackers")
    parser.add_argument("--samples", default=os.environ.get("ONLOOKER_SAMPLES", "../shared/data"))
    parser.add_argument("--kinds", help="only kinds that begin so")
    parser.add_argument("--every", action="store_true", help="search every frame for faces")
    asked = parser.parse_args()
    print(measured_with())
    config = Config()
    analyser = Analyser(config)
    people = portraits(Path(asked.samples), analyser)
    names = sorted(people, key=lambda name: (len(name) % 7, name))
    street = image.read(Path(skimage.data.__file__).parent / "motorcycle_left.png")
    pixels, _ = street.region(0, 0, street.width, street.height)
    videos = [
        analysed(scene, analyser, people, pixels, asked.every)
        for scene in scenes(names)
        if scene.kind.startswith(asked.kinds or "")
    ]
    embedder = space(config.faces.embedder)
    known = Known(embedder.calibration)
    for name in names[::2]:
        photo = Still(people[name][-1].pixels)
        [analysis] = analyser([photo], [WANTED])
        if analysis.faces and analysis.faces[0].vector is not None:
            known.names.append(name)
            known.vectors.append(analysis.faces[0].vector)
    visits = [followed(each, known, begin(Tracks()), likeness(embedder)) for each in videos]
    faces = [each.faces for each in visits]
    results: dict[str, Result] = {OURS: Result(faces, []), TRACKS: Result(faces, [])}
    with (
        tempfile.TemporaryDirectory() as folder,
        open_people(embedder, Path(folder) / "faces.db") as unknown,
    ):
        for each in visits:
            results[OURS].ids.append(each.named(persons(each.events, unknown)))
            results[TRACKS].ids.append(each.named({event.id: event.id for event in each.events}))
    if asked.peers:
        given = [{"frames": video.boxes(), "fps": video.scene.fps} for video in videos]
        script = Path(__file__).parent / "support/peer_trackers.py"
        done = subprocess.run(
            [asked.peers, str(script)],
            input=json.dumps(given),
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        detected = [video.detected for video in videos]
        results |= {name: Result(detected, ids) for name, ids in json.loads(done.stdout).items()}
    report(videos, results)
    report_visits(list(zip(videos, visits, strict=True)), set(known.names))
    number = sum(each.recognised for each in visits)
    faces_seen = sum(len(frame) for each in visits for frame in each.ids)
    seconds, frames = sum(each.seconds for each in visits), sum(len(each.ids) for each in visits)
    searched = sum(not frame.carried for video in videos for frame in video.frames)
    print(f"searched {searched} of {frames} frames")
    print(f"recognised {number} of {faces_seen} faces; the others are known from earlier frames")
    print(f"tracking takes {1e3 * seconds / frames:.2f} ms of CPU time for a frame")


class Result(NamedTuple):
    """The faces of each frame of each video, and the ids that a tracker gives them."""

    faces: Sequence[Sequence[tuple[Face, ...]]]
    ids: list[list[list[Any]]]


def report(videos: list[Video], results: dict[str, Result]) -> None:
    """Print IDF1 and switches of each tracker for each kind of video."""
    scores: dict[str, dict[str, Score]] = defaultdict(dict)
    for name, found in results.items():
        for video, shown, ids in zip(videos, found.faces, found.ids, strict=True):
            frames = [
                (
                    truth,
                    [(str(i), f.box) for i, f in zip(own, faces, strict=True) if i not in NONE],
                )
                for truth, faces, own in zip(video.truths, shown, ids, strict=True)
            ]
            for kind in (video.scene.kind, "all"):
                before = scores[kind].get(name, Score(0, 0, 0, 0))
                scores[kind][name] = before + score(frames)
    print(f"{'IDF1, switches':22}" + "".join(f"{name:>16}" for name in results))
    for kind in [*(k for k in scores if k != "all"), "all"]:
        cells = (f"{one.idf1:10.3f} {one.switches:5}" for one in scores[kind].values())
        print(f"{kind:22}" + "".join(cells))


def report_visits(visits: list[tuple[Video, Followed]], enrolled: set[str]) -> None:
    """Print appearances for each true one, and how many are named rightly."""
    found = sum(len(each.events) for _, each in visits)
    true = sum(video.scene.visits for video, _ in visits)
    kinds: Counter[str] = Counter()
    for video, each in visits:
        kinds[video.scene.kind] += len(each.events) - video.scene.visits
    right = wrong = due = 0
    for video, each in visits:
        whose = _whose(video, each)
        for event in each.events:
            person = whose.get(event.id)
            due += person in enrolled
            right += event.person is not None and event.person == person
            wrong += event.person is not None and event.person != person
    print(f"appearances {found} for {true} true ones ({found / max(true, 1):.3f})")
    print(f"too many or too few: { {kind: n for kind, n in kinds.items() if n} }")
    print(f"named rightly {right} of {due} visits of enrolled people, wrong names {wrong}")


def _whose(video: Video, found: Followed) -> dict[str, str]:
    """Return the person whom most boxes of each track belong to.

    The best face alone does not say: while two people cross, one is where the other is hidden.
    """
    together: dict[str, Counter[str]] = defaultdict(Counter)
    for truth, faces, ids in zip(video.truths, found.faces, found.ids, strict=True):
        for row, column in matched(truth, [face.box for face in faces]):
            together[ids[column]][truth[row].person] += 1
    return {track: people.most_common(1)[0][0] for track, people in together.items()}


if __name__ == "__main__":
    main()
