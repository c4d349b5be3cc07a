"""People followed through videos with exact truth, beside the trackers of the package `trackers`.

The videos are made from photographs of the samples (`bench.support.scenes`). All trackers get the
boxes that Onlooker detects; ByteTrack, OC-SORT and BoT-SORT (trackers 2.6.1, Apache-2.0) run in an
environment of their own, since that package needs another OpenCV:

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

import numpy as np
import skimage.data
from bench.support.machine import measured_with
from bench.support.scenes import Portrait, Scene, Truth, portraits, render, scenes
from bench.support.tracking_score import Score, matched, score
from msgspec.structs import replace

from onlooker.config.schema import Config
from onlooker.config.tracking import Tracks
from onlooker.identity.people.people import People, open_people
from onlooker.identity.search.similarity import likeness, similarity
from onlooker.media import image
from onlooker.media.picture import Pixels, Still
from onlooker.models.card import Calibration, space
from onlooker.stream.track_step import visitor
from onlooker.track.associations import Associations
from onlooker.track.face_tracker import Likeness
from onlooker.track.gallery import Vector
from onlooker.track.stream_tracks import StreamTracks, begin
from onlooker.types import Appearance, Face, Frame, Identity, StoredFace
from onlooker.vision.analyser import Analyser, Wanted
from onlooker.vision.unindexed_reasons import passing

WANTED = Wanted(text=False, select=passing("AUTO"))
OURS, TRACKS = "Onlooker", "by track"
NONE = (-1, "")
"""Ids of boxes that belong to no track."""


class Video:
    """A scene as it was rendered and analysed."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.frames: list[tuple[int, float, tuple[Face, ...], list[Truth]]] = []
        """Index, time, faces as they are recognised, and truth."""
        self.detected: list[tuple[Face, ...]] = []
        """The same faces as they are detected."""

    def boxes(self) -> list[tuple[float, list[list[float]]]]:
        return [
            (when, [[*map(float, face.box), face.score] for face in faces])
            for _, when, faces, _ in self.frames
        ]


def analysed(
    scene: Scene, analyser: Analyser, people: dict[str, list[Portrait]], street: Pixels
) -> Video:
    video = Video(scene)
    for index, when, pixels, truth in render(scene, people, street):
        faces: tuple[Face, ...] = ()
        detected: tuple[Face, ...] = ()
        if pixels is not None:
            picture = Still(pixels)
            [detection] = analyser.detect([picture], [WANTED])
            [analysis] = analyser.recognise([picture], [detection], [WANTED])
            detected = detection.faces
            faces = tuple(
                one.face if one.vector is None else replace(one.face, vector=one.vector.tobytes())
                for one in analysis.faces
            )
        video.frames.append((index, when, faces, truth))
        video.detected.append(detected)
    return video


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

    ids: of the track of each frame's boxes. events: the last one of each appearance. recognised:
    number of faces that were.
    """

    ids: list[list[str]]
    events: list[Appearance]
    seconds: float
    recognised: int

    def named(self, names: Mapping[str, str]) -> list[list[str]]:
        """Return the ids with other ones in their places; "" for a track without one."""
        return [[names.get(each, "") for each in frame] for frame in self.ids]


def followed(video: Video, known: Known, tracks: StreamTracks, like: Likeness) -> Followed:
    ids, events, blank = [], [], Still(np.zeros((8, 8, 3), np.uint8))
    associations, recognised = Associations(), 0
    began = time.process_time()
    for place, (index, when, faces, _) in enumerate(video.frames):
        frame = Frame(
            stream="s",
            epoch="e",
            index=index,
            pts=round(when * 1000),
            time_base=(1, 1000),
            fragment=0,
            fragment_pts=0,
            started=0.0,
            width=640,
            height=360,
            faces=video.detected[place],
            last=place == len(video.frames) - 1,
        )
        frame = associations.take(frame, blank)
        recognised += sum(face.like is None for face in frame.faces)
        own = zip(frame.faces, faces, strict=True)
        frame = replace(frame, faces=tuple(a if a.like is not None else b for a, b in own))
        record = "-".join((video.scene.kind, *(a.person for a in video.scene.actors), str(index)))
        done = tracks.take(frame, blank, record, known.search, like)
        ids.append([face.track.id if face.track else "" for face in done.faces])
        events += [event for event in done.appearances if event.state == "end"]
    return Followed(ids, events, time.process_time() - began, recognised)


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
    asked = parser.parse_args()
    print(measured_with())
    config = Config()
    analyser = Analyser(config)
    people = portraits(Path(asked.samples), analyser)
    names = sorted(people, key=lambda name: (len(name) % 7, name))
    street = image.read(Path(skimage.data.__file__).parent / "motorcycle_left.png")
    pixels, _ = street.region(0, 0, street.width, street.height)
    videos = [
        analysed(scene, analyser, people, pixels)
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
    results: dict[str, list[list[list[Any]]]] = {OURS: [], TRACKS: []}
    with (
        tempfile.TemporaryDirectory() as folder,
        open_people(embedder, Path(folder) / "faces.db") as unknown,
    ):
        for each in visits:
            results[OURS].append(each.named(persons(each.events, unknown)))
            results[TRACKS].append(each.named({event.id: event.id for event in each.events}))
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
        results |= json.loads(done.stdout)
    report(videos, results)
    report_visits(list(zip(videos, visits, strict=True)), set(known.names))
    recognised = sum(each.recognised for each in visits)
    faces = sum(len(frame) for each in visits for frame in each.ids)
    seconds, frames = sum(each.seconds for each in visits), sum(len(each.ids) for each in visits)
    print(f"recognised {recognised} of {faces} faces; the others are known from earlier frames")
    print(f"tracking takes {1e3 * seconds / frames:.2f} ms of CPU time for a frame")


def report(videos: list[Video], results: dict[str, list[list[list[Any]]]]) -> None:
    """Print IDF1 and switches of each tracker for each kind of video."""
    scores: dict[str, dict[str, Score]] = defaultdict(dict)
    for name, found in results.items():
        for video, ids in zip(videos, found, strict=True):
            frames = [
                (
                    truth,
                    [(str(i), f.box) for i, f in zip(own, faces, strict=True) if i not in NONE],
                )
                for (_, _, faces, truth), own in zip(video.frames, ids, strict=True)
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
    for (_, _, faces, truth), ids in zip(video.frames, found.ids, strict=True):
        for row, column in matched(truth, [face.box for face in faces]):
            together[ids[column]][truth[row].person] += 1
    return {track: people.most_common(1)[0][0] for track, people in together.items()}


if __name__ == "__main__":
    main()
