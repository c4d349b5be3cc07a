"""The lines of text of one stream over time.

A line is joined to a track by its place, by its text, and by whether the pixels there have changed:
where nothing has changed it is the same line, whatever its frames read, and it is there even if a
frame reads nothing. Readings are voted, each from another look of the line.
"""

from collections.abc import Callable, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from onlooker.track.assignment import assign
from onlooker.track.box_motion import Motion, begin, overlap
from onlooker.track.carried import Origin
from onlooker.track.voting import Ballot, matches
from onlooker.types import Box, TextLine

Look = NDArray[np.uint8]
"""A line's pixels, small: LOOK_SIZE, one byte of brightness each."""
LookAt = Callable[[Box], Look]
"""Returns the look of a place in the current image."""

LOOK_SIZE = (96, 8)
"""Width and height of a look."""
PARTS = 24
"""Parts, side by side, in which two looks are compared: another digit changes only one of them."""
SAME_LOOK = (6.0, 0.35)
"""Two looks are of the same pixels if no part differs by more brightness, of 255 and on average,
than the first, or than the second times the contrast (standard deviation) of the look."""
SHIFT = 0.1
"""A line that has moved by more than this share of its height is another look."""
GAP_SECONDS = 1.0
"""A line is over if it is in none of the images of so long a time. A dropped image says nothing
about it, so that a line goes on before a slow camera, too."""
FULL_HEIGHT = 32.0
"""Height in pixels from which a taller line is read no better."""
MARGIN = 0.15
"""Margin around boxes that are compared, in sides."""
EVEN_OVERLAP = 0.3
OVERLAP_EVIDENCE = 5.0
"""Evidence of a whole unit of overlap more than that; without any, a line is another one."""
EVEN_SIMILARITY = 0.6
SIMILARITY_EVIDENCE = 8.0
"""Evidence of a whole unit of similarity of the texts more than that."""
UNCHANGED_EVIDENCE = 6.0
"""Evidence of pixels that have not changed."""
SURE_SCORE = 0.9
SURE_EDITS = 2
"""Two sure readings with so many characters different are of different lines, if pixels changed; at
the same place, where nothing but the text can have changed them, one character is enough."""
DIFFERENT_EVIDENCE = -7.0
"""More than all overlap and similarity of a long text weigh together."""
MIN_SCORES = (0.9, 0.8, 0.6)
"""Minimum score, times the agreement of the votes, of a line that was seen once, twice, and more
often: turned and blurred pixels are taken for words, but seldom for the same one for long."""
SHORT = 3
"""Lines of up to so many characters are often no text: corners, spokes, leaves."""
MIN_SHORT_SCORE = 0.85
"""Minimum score, times the agreement of the votes, of a short line; it must be seen twice."""
CHARACTER_SECONDS = 1.0
MIN_CHARACTER_SCORE = 0.92
"""How long a line of one character must be there, and its minimum score likewise: rims and handles
are taken for letters with up to .9."""


class LineSeen(msgspec.Struct, frozen=True):
    """A line of one frame as the tracker sees it."""

    box: Box
    text: str
    score: float
    height: float
    """Of the characters, in pixels."""
    origin: Origin = "read"


class LineTrack(msgspec.Struct):
    """One line of text from when it comes until it is gone.

    first, last: times of the first and the last detection. readings: number of looks that were
    voted.
    """

    id: str
    number: int
    motion: Motion
    first: float
    last: float
    text: str
    """The last reading."""
    score: float
    """Of the surest reading."""
    look: bytes
    """The look when it was last seen."""
    voted_look: bytes = b""
    voted_box: Box = (0.0, 0.0, 0.0, 0.0)
    """Look and place of the last reading that was voted."""
    ballot: Ballot = msgspec.field(default_factory=Ballot)
    detections: int = 0
    readings: int = 0
    missed: tuple[float, float] | None = None
    """Times of the first and the last image without it since it was last there."""
    part: bool = False
    """A whole line was found around it since: it was a part of that one."""

    @property
    def real(self) -> bool:
        """Whether it counts as text: seen again, or once but sure."""
        characters = len(self.ballot.text.replace(" ", ""))
        if self.part or not characters:
            return False
        score = self.score * self.ballot.agreement
        if characters <= SHORT:
            if characters == 1 and (
                self.last - self.first < CHARACTER_SECONDS or score < MIN_CHARACTER_SCORE
            ):
                return False
            return self.detections > 1 and score >= MIN_SHORT_SCORE
        return score >= MIN_SCORES[min(self.detections, len(MIN_SCORES)) - 1]


class LineTracker(msgspec.Struct):
    """The lines of one stream; the whole of it is the state that a snapshot holds.

    absence: seconds without an image after which a line is over, at least GAP_SECONDS.
    """

    absence: float
    tracks: list[LineTrack] = []
    begun: int = 0
    present: list[int] = []
    """Numbers of the tracks that were in the last image."""

    def end(self, time: float | None) -> list[LineTrack]:
        """Remove and return the lines that are over at `time`; all of them if it is None."""
        absence = max(self.absence, GAP_SECONDS)
        over = [
            track
            for track in self.tracks
            if time is None
            or time - track.last > absence
            or (track.missed is not None and track.missed[1] - track.missed[0] >= GAP_SECONDS)
        ]
        ended = {track.id for track in over}
        self.tracks = [track for track in self.tracks if track.id not in ended]
        return over

    def here(self) -> list[LineTrack]:
        """Return the lines that were in the last image."""
        return [track for track in self.tracks if track.number in self.present]

    def repeat(self, time: float, present: Sequence[int]) -> None:
        """Take an image that is the same as an earlier one, in which the tracks `present` were."""
        self.present = list(present)
        for track in self.here():
            track.last = max(track.last, time)
            track.motion = begin(track.motion.box(), time)
        self._miss(time)

    def update(
        self,
        time: float,
        lines: Sequence[LineSeen],
        look_at: LookAt,
        name: Callable[[int], str],
    ) -> list[LineTrack]:
        """Return the track of each line.

        name: returns the id of a track that begins with the line of this number.
        """
        known = [(track, track.motion.at(time).box()) for track in self.tracks]
        unchanged = {
            track.id: alike(look_at(track.motion.box()), track.look) for track in self.tracks
        }
        costs = np.array(
            [
                [-_evidence(track, box, line, unchanged[track.id]) for line in lines]
                for track, box in known
            ],
            np.float64,
        ).reshape(len(known), len(lines))
        of = {column: self.tracks[row] for row, column in assign(costs, 0.0)}
        found = []
        for number, line in enumerate(lines):
            track = of.get(number) or self._begin(time, line, name(number))
            self._see(track, line, look_at(line.box), time)
            found.append(track)
        self.present = [track.number for track in found]
        for track, _ in known:
            if track.number in self.present:
                continue
            there, text = track.motion.box(), track.ballot.text
            if any(_part(text, there, line.text, line.box) for line in lines):
                track.part = True
            elif unchanged[track.id] and not track.part:
                track.last = max(track.last, time)
                self.present.append(track.number)
        self._miss(time)
        return found

    def _miss(self, time: float) -> None:
        """Take note of the lines that are not in the image of `time`."""
        for track in self.tracks:
            since = time if track.missed is None else track.missed[0]
            track.missed = None if track.number in self.present else (since, time)

    def _begin(self, time: float, line: LineSeen, name: str) -> LineTrack:
        motion = begin(line.box, time)
        track = LineTrack(name, self.begun, motion, time, time, line.text, line.score, b"")
        self.begun += 1
        self.tracks.append(track)
        return track

    def _see(self, track: LineTrack, line: LineSeen, look: Look, time: float) -> None:
        whole, box = track.motion.at(time).box(), line.box
        if _part(line.text, box, track.ballot.text, whole):
            box = _around(whole, box)
        track.motion = track.motion.seen(box, time)
        track.last = max(track.last, time)
        track.text, track.score = line.text, max(track.score, line.score)
        track.detections += line.origin in ("read", "carried")
        track.look = look.tobytes()
        if line.origin in ("carried", "bridged"):
            return  # its reading has voted
        moved = _shift(line.box, track.voted_box) > SHIFT * line.height
        another = moved or not alike(look, track.voted_look)
        if not track.readings or another:
            weight = max(line.score, 1e-3) * min(1.0, line.height / FULL_HEIGHT)
            track.ballot.vote(line.text, [weight] * len(line.text))
            track.voted_look, track.voted_box = track.look, line.box
            track.readings += 1


def seen(line: TextLine, origin: Origin = "read") -> LineSeen:
    """Return a line of a frame as the tracker sees it."""
    across = [x for x, _ in line.quad]
    down = [y for _, y in line.quad]
    (x1, y1), _, _, (x2, y2) = line.quad
    height = ((x2 - x1) ** 2 + (y2 - y1) ** 2) ** 0.5
    box = (min(across), min(down), max(across), max(down))
    return LineSeen(box, line.text, line.score, height, origin)


def alike(one: Look, other: bytes) -> bool:
    """Return whether two looks are of the same pixels; one of another size is of none."""
    if len(other) != one.size:
        return False
    then = np.frombuffer(other, np.uint8).reshape(one.shape)
    bound = max(SAME_LOOK[0], SAME_LOOK[1] * float(then.std()))
    change = np.abs(one.astype(np.int16) - then).reshape(len(then), PARTS, -1)
    return float(change.mean((0, 2)).max()) <= bound


def _evidence(track: LineTrack, box: Box, line: LineSeen, unchanged: bool) -> float:
    """Return the evidence that a line of this frame is the track's."""
    margin = MARGIN * track.motion.side
    common = overlap(box, line.box, margin)
    if common <= 0 or track.part:
        return -1.0
    known = track.ballot.text
    shorter, longer = sorted((len(known), len(line.text)))
    equal = max(matches(known, line.text), matches(track.text, line.text))
    # A line that is partly hidden reads as a part of itself, and its box is a part as well.
    whole = shorter if _inside(box, line.box) else longer
    evidence = OVERLAP_EVIDENCE * (max(common, _inside(box, line.box)) - EVEN_OVERLAP)
    evidence += SIMILARITY_EVIDENCE * (min(1.0, equal / max(whole, 1)) - EVEN_SIMILARITY)
    if unchanged:
        return evidence + UNCHANGED_EVIDENCE * common
    edits = 1 if _shift(track.voted_box, line.box) <= SHIFT * line.height else SURE_EDITS
    if min(track.score, line.score) >= SURE_SCORE and whole - equal >= edits:
        evidence += DIFFERENT_EVIDENCE
    return evidence


def _shift(one: Box, other: Box) -> float:
    """Return the pixels by which the sides of two boxes are apart at most."""
    return max(abs(a - b) for a, b in zip(one, other, strict=True))


def _part(text: str, box: Box, whole: str, around: Box) -> bool:
    """Return whether a line is a part of another one."""
    if not text or len(text) >= len(whole):
        return False
    if _area(box) >= _area(around):
        return False
    return _inside(box, around) > 0 and matches(text, whole) >= EVEN_SIMILARITY * len(text)


def _around(box: Box, part: Box) -> Box:
    """Return the box, moved as little as that `part` is inside it along both axes."""
    x1, y1, x2, y2 = box
    left, top, right, bottom = part
    x = max(right - x2, 0.0) if x1 <= left else left - x1
    y = max(bottom - y2, 0.0) if y1 <= top else top - y1
    return x1 + x, y1 + y, x2 + x, y2 + y


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _inside(one: Box, other: Box, least: float = 0.8) -> float:
    """Return the share of the smaller box inside the larger one; 0 if it is below `least`."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    share = width * height / max(min(_area(one), _area(other)), 1e-9)
    return share if share >= least else 0.0
