"""The faces of one stream over time.

Each detection is given to the track for which the evidence is strongest: motion first, and the
face's vector wherever motion is doubtful. Evidence is a log-likelihood ratio of "the same person"
against "another one", so that both kinds add up. Two rounds, as in ByteTrack (Zhang et al., 2021):
sure detections first, then unsure ones, which can continue a track but never begin one. A track
that was lost can be taken up by its vector anywhere in the image.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from onlooker.track.assignment import assign
from onlooker.track.box_motion import Motion, begin, overlap
from onlooker.track.gallery import Gallery, Vector, vector
from onlooker.types import Box

Likeness = Callable[[Vector, Vector], float]
"""Similarity, 0 to 100, of two vectors of the embedder."""

FRESH_SECONDS = 0.5
"""A track not seen for longer is lost: where it was says less and less about where it is."""
FADING_SECONDS = 1.0
"""Time in which the evidence of motion falls to 1/e after that."""
TENTATIVE_SECONDS = 1.0
"""A track that is not confirmed ends if it is in none of the images of so long a time."""
POOR_WEIGHT = 0.02
"""Weight below which an image of a face hardly tells that it is one: the spots that a detector
takes for faces are so small and blurred."""
POOR_CONFIRM = 2.0
"""Times as long as others that a track without a better image must be there to be confirmed."""
EVEN_OVERLAP = 0.35
"""Overlap of prediction and detection that says nothing for or against the same person."""
OVERLAP_EVIDENCE = 6.0
"""Evidence of a whole unit of overlap more than that."""
MARGINS = (0.1, 1.0)
"""Bounds, in sides, of the margin around boxes that are compared."""
EVEN_LOGIT = -4.0
"""Log-odds of the Similarity that says nothing for or against the same person. The calibration is
strict (Similarity 50 is rare between two people already), and few people are in one image."""
LIKENESS_EVIDENCE = 0.5
UNLIKENESS_EVIDENCE = 1.2
"""Evidence per unit of log-odds above and below that."""
LIKENESS_BOUNDS = (-8.0, 6.0)
TELLING_WEIGHT = 0.4
"""From this weight of both on, a face that is unlike its track counts in full: blurred and turned
faces are unlike everybody."""
MIN_TELLING = 0.4
"""The least share of that with which it counts."""
UNLIKE = -3.0
"""Evidence from which a face is clearly unlike its track."""
DOUBT_SECONDS = 0.3
"""Time for which such a face is the track's all the same if its motion is clear: the box of a face
that is half covered, or badly found, is like nobody. Its vector does not count."""
CLEAR_SECONDS = 0.35
CLEAR_OVERLAP = 0.5
MAX_NEIGHBOUR = 0.05
"""Motion is clear if the track was seen so lately, if the face overlaps the place where it is
expected, and if no other face or track is near: nobody takes another's place so fast."""
RETURN_EVIDENCE = 2.0
"""Evidence that a lost track must have beyond that of a fresh one."""
CARRIED_EVIDENCE = 6.0
"""Evidence that a face has been followed, from image to image, from one that is the track's."""
MAX_TOGETHER = 50
UNSURE_OVERLAP = 0.3
"""Minimum overlap of an unsure detection with the track that it continues."""


class Detected(msgspec.Struct, frozen=True):
    """A face as the tracker sees it.

    sure: its score suffices for a record. weight: see `onlooker.track.gallery`. vector: None if the
    face was not embedded. like: number of the track of the face that is carried over to this one.
    """

    box: Box
    sure: bool = True
    weight: float = 0.0
    vector: bytes | None = None
    like: int | None = None


class FaceTrack(msgspec.Struct):
    """One person's face from when it comes until it is gone.

    number: 0, 1, 2 ... along the stream (Amazon's Person.Index). first, last: times of the first
    and the last detection, in seconds.
    """

    id: str
    number: int
    motion: Motion
    first: float
    last: float
    detections: int = 1
    confirmed: bool = False
    poor: bool = True
    """No image of it has POOR_WEIGHT."""
    gallery: Gallery = msgspec.field(default_factory=Gallery)
    cut: bool = False
    """The image has changed altogether since the last detection: where it was says nothing."""
    missed: tuple[float, float] | None = None
    """Times of the first and the last image without it since the last detection."""
    doubted: float | None = None
    """Time since which all of its faces were clearly unlike it."""
    together: list[str] = []
    """Ids of other tracks that were in an image at the same time, up to MAX_TOGETHER."""


class FaceTracker(msgspec.Struct):
    """The tracks of one stream; the whole of it is the state that a snapshot holds.

    confirm: seconds between first and last detection from which a track counts. absence: seconds
    without a detection after which it ends.
    """

    confirm: float
    absence: float
    tracks: list[FaceTrack] = []
    begun: int = 0
    """Number of tracks so far."""
    present: list[int] = []
    """Numbers of the tracks that were in the last image."""
    resumed: dict[str, str] = {}
    """Ids of tracks that turned out, in the last image, to continue the lost track of this id."""

    def end(self, time: float | None) -> list[FaceTrack]:
        """Remove and return the tracks that are over at `time`; all of them if it is None."""
        over = [t for t in self.tracks if time is None or self._over(t, time)]
        ended = {track.id for track in over}
        self.tracks = [track for track in self.tracks if track.id not in ended]
        return over

    def _over(self, track: FaceTrack, time: float) -> bool:
        if track.confirmed:
            return time - track.last > self.absence
        # A slow camera may drop a frame before a face can be confirmed.
        missed = 0.0 if track.missed is None else track.missed[1] - track.missed[0]
        return missed >= TENTATIVE_SECONDS or time - track.last > max(
            self.absence, TENTATIVE_SECONDS
        )

    def cut(self) -> None:
        """Take note that the next image is of another scene."""
        for track in self.tracks:
            track.cut = True

    def repeat(self, time: float, present: Sequence[int]) -> None:
        """Take an image that is the same as an earlier one, in which the tracks `present` were."""
        self.present, self.resumed = list(present), {}
        for track in self.here():
            track.last = max(track.last, time)
            track.motion = begin(track.motion.box(), time)
        self._miss(time)

    def here(self) -> list[FaceTrack]:
        """Return the tracks that were in the last image."""
        return [track for track in self.tracks if track.number in self.present]

    def update(
        self,
        time: float,
        found: Sequence[Detected],
        likeness: Likeness,
        name: Callable[[int], str],
    ) -> list[FaceTrack | None]:
        """Return the track of each detection; None for an unsure one that continues none.

        name: returns the id of a track that begins with the detection of this number.
        """
        self.resumed = {}
        of: dict[int, FaceTrack] = {}
        sure = [number for number, each in enumerate(found) if each.sure]
        known = [Known(track, track.motion.at(time), track.gallery.mean()) for track in self.tracks]
        image = Image(time, known, [found[number] for number in sure])
        pairs = [[_evidence(one, each, image, likeness) for each in image.found] for one in known]
        costs = np.array([[-pair.evidence for pair in row] for row in pairs], np.float64)
        doubted = set()
        for row, column in assign(costs.reshape(len(known), len(sure)), 0.0):
            of[sure[column]] = self.tracks[row]
            if pairs[row][column].doubted:
                doubted.add(sure[column])
        self._continue(time, found, known, of)
        for number in sure:
            if number not in of:
                of[number] = self._begin(time, found[number], name(number))
        for number, track in of.items():
            self._see(track, found[number], time, number in doubted)
            of[number] = self._resumed(track, likeness)
        self.present = [track.number for track in of.values()]
        self._miss(time)
        for track in of.values():
            _join(track.together, [each.id for each in of.values() if each is not track])
        return [of.get(number) for number in range(len(found))]

    def _continue(
        self,
        time: float,
        found: Sequence[Detected],
        known: "Sequence[Known]",
        of: dict[int, FaceTrack],
    ) -> None:
        """Give the unsure detections to fresh tracks that have none, by motion alone."""
        taken = {track.id for track in of.values()}
        waiting = [
            one
            for one in known
            if one.track.id not in taken
            and not one.track.cut
            and time - one.track.last <= FRESH_SECONDS
        ]
        unsure = [number for number, each in enumerate(found) if not each.sure]
        costs = np.array(
            [[-overlap(one.motion.box(), found[n].box) for n in unsure] for one in waiting],
            np.float64,
        ).reshape(len(waiting), len(unsure))
        for row, column in assign(costs, -UNSURE_OVERLAP):
            of[unsure[column]] = waiting[row].track

    def _miss(self, time: float) -> None:
        """Take note of the tracks that are not in the image of `time`."""
        for track in self.tracks:
            since = time if track.missed is None else track.missed[0]
            track.missed = None if track.number in self.present else (since, time)

    def _begin(self, time: float, detected: Detected, name: str) -> FaceTrack:
        track = FaceTrack(name, self.begun, begin(detected.box, time), time, time, detections=0)
        self.begun += 1
        self.tracks.append(track)
        return track

    def _see(self, track: FaceTrack, detected: Detected, time: float, doubted: bool) -> None:
        fresh = time - track.last <= FRESH_SECONDS and not track.cut
        track.motion = track.motion.seen(detected.box, time) if fresh else begin(detected.box, time)
        track.cut = False
        track.detections += 1
        track.poor &= detected.weight < POOR_WEIGHT
        track.last = max(track.last, time)
        if doubted:
            track.doubted = time if track.doubted is None else track.doubted
        elif detected.vector is not None:
            track.doubted = None
            track.gallery.add(detected.vector, detected.weight, time)

    def _resumed(self, track: FaceTrack, likeness: Likeness) -> FaceTrack:
        """Return the lost track that a new one turns out to continue, or else `track`, confirmed.

        The first image after a while is often poor; the mean of some says more.
        """
        confirm = self.confirm * (POOR_CONFIRM if track.poor else 1)
        due = track.detections > 1 and track.last - track.first >= confirm
        if track.confirmed or not due:
            return track
        lost = self._lost_twin(track, likeness)
        if lost is None:
            track.confirmed = True
            return track
        self.tracks = [each for each in self.tracks if each.id != track.id]
        self.resumed[track.id] = lost.id
        for each in self.tracks:
            if track.id in each.together:
                each.together.remove(track.id)
                _join(each.together, [lost.id])
        _join(lost.together, track.together)
        lost.motion, lost.last = track.motion, track.last
        lost.detections += track.detections
        for exemplar in track.gallery.exemplars:
            lost.gallery.add(exemplar.vector, exemplar.weight, exemplar.time)
        return lost

    def _lost_twin(self, track: FaceTrack, likeness: Likeness) -> FaceTrack | None:
        """Return the confirmed track, last seen before `track` began, that is most like it."""
        mean = track.gallery.mean()
        if mean is None:
            return None
        best, most = None, RETURN_EVIDENCE
        for other in self.tracks:
            known = other.gallery.mean()
            if other.confirmed and other.last < track.first and known is not None:
                evidence = likeness_evidence(likeness(known, mean))
                if evidence > most:
                    best, most = other, evidence
        return best


class Known(NamedTuple):
    """A track while a frame is taken: where it should be now, and its mean vector."""

    track: FaceTrack
    motion: Motion
    mean: Vector | None


class Image(NamedTuple):
    """A frame while it is taken: its time, all tracks, and its sure detections."""

    time: float
    known: Sequence[Known]
    found: Sequence[Detected]

    def clear(self, one: Known, detected: Detected) -> bool:
        """Return whether motion alone says that the detection is the track's."""
        track, box = one.track, one.motion.box()
        return (
            track.confirmed
            and not track.cut
            and self.time - track.last <= CLEAR_SECONDS
            and overlap(box, detected.box) >= CLEAR_OVERLAP
            and not any(
                other is not one and overlap(other.motion.box(), detected.box) > MAX_NEIGHBOUR
                for other in self.known
            )
            and not any(
                other is not detected and overlap(box, other.box) > MAX_NEIGHBOUR
                for other in self.found
            )
        )


class Pair(NamedTuple):
    """The evidence that a detection is of a track's person.

    doubted: the face is clearly unlike the track, which does not count.
    """

    evidence: float
    doubted: bool


def _evidence(one: Known, detected: Detected, image: Image, likeness: Likeness) -> Pair:
    """Return the evidence that the detection is of the track's person."""
    time = image.time
    gap = time - one.track.last
    lost = max(0.0, gap - FRESH_SECONDS) / FADING_SECONDS
    fading = 0.0 if one.track.cut else math.exp(-lost)
    margin = one.motion.side * min(max(one.motion.spread(), MARGINS[0]), MARGINS[1])
    moved = OVERLAP_EVIDENCE * (overlap(one.motion.box(), detected.box, margin) - EVEN_OVERLAP)
    evidence = fading * moved - RETURN_EVIDENCE * (1 - fading)
    doubted = False
    if one.mean is not None and detected.vector is not None:
        telling = min(detected.weight, one.track.gallery.weight) / TELLING_WEIGHT
        found = likeness(one.mean, vector(detected.vector))
        alike = likeness_evidence(found, min(max(telling, MIN_TELLING), 1.0))
        since = time if one.track.doubted is None else one.track.doubted
        brief = time - since < DOUBT_SECONDS
        doubted = alike <= UNLIKE and brief and image.clear(one, detected)
        evidence += 0.0 if doubted else alike
    if detected.like == one.track.number:
        evidence += CARRIED_EVIDENCE
    return Pair(evidence, doubted)


def _join(together: list[str], others: Sequence[str]) -> None:
    """Add ids of tracks, each once, up to MAX_TOGETHER."""
    new = [each for each in others if each not in together]
    together += new[: MAX_TOGETHER - len(together)]


def likeness_evidence(similarity: float, telling: float = 1.0) -> float:
    """Return the evidence of a Similarity, 0 to 100, for the same person.

    telling: the share, 0 to 1, with which evidence against it counts.
    """
    share = min(max(similarity / 100, 1e-9), 1 - 1e-9)
    beyond = math.log(share / (1 - share)) - EVEN_LOGIT
    evidence = beyond * (LIKENESS_EVIDENCE if beyond > 0 else UNLIKENESS_EVIDENCE * telling)
    return min(max(evidence, LIKENESS_BOUNDS[0]), LIKENESS_BOUNDS[1])
