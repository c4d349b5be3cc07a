"""The text of one stream before it is read: which regions need it.

A region is read if it is new or if its pixels have changed, and again at intervals, which are
shorter while it moves: other crops are read better or worse. What was read is carried over to the
frames between, also to those in which the detector misses the text although its pixels are there.
"""

import math
from collections.abc import Sequence, Set
from itertools import accumulate

import msgspec
import numpy as np
from msgspec.structs import replace

from onlooker.media.picture import Picture
from onlooker.track import patch
from onlooker.track.assignment import assign
from onlooker.track.box_motion import Motion, begin, overlap
from onlooker.track.patch import Patch, Shift
from onlooker.types import Box, Like, Quad, TextQuad

GAP_SECONDS = 0.5
"""Time without a detection for which pixels bridge the gap."""
MIN_OVERLAP = 0.3
"""Overlap of a region with the place where one is expected that says it is the same."""
REST_SECONDS = 1.0
"""Interval at which a region is read again whose pixels have not changed: noise makes the reader
err now and then, and the surer reading counts."""
MOVING_SECONDS = 0.4
"""The same if it moves: each crop is another one."""
FIRST_SECONDS = 0.12
FIRST_READINGS = 4
"""The same for the first few readings."""
MAX_AGAIN = 40.0
"""Length of the regions that are read again in one frame, in heights of their characters; others
wait for the next frame. A page would otherwise be read at once again and again, and the frames of
cameras behind it would wait."""
SHIFT = 0.1
"""A region that has moved by more than this share of its height moves."""
REACH, FIRST_REACH = 0.35, 1.0
"""Heights around the expected place in which pixels are searched; the second while it is not known
how fast they move."""
PIXELS_DEVIATION = 0.01
"""Standard deviation of a place at which pixels were found, in sides of the region."""
MAX_EDGE = 0.35
"""Heights by which the edges of a region may be elsewhere than expected: with more, a character has
come or gone."""
PADDING = 0.2
"""Heights at both ends that are compared as well: there a character may come."""
MIN_DETECTIONS = 2
"""Detections from which a region may be missed: one could be a mistake of the detector."""
MAX_SHARE = 0.5
"""Share of a region inside those that a finer search found up to which it is another one."""
MAX_HEIGHT_RATIO = 2.0
"""Ratio of the heights of two regions up to which they may be of the same text."""
MAX_FINER_HEIGHT = 0.15
"""Share of the image's height up to which text is what a finer search is for. Larger text is found
by the usual search, and a finer one takes more large things for text."""
MAX_REGIONS = 64
"""Regions that are followed; further ones are read in each frame."""


class Region(msgspec.Struct):
    """A region as it was read last.

    frame, number: the frame's index, and the region's place in it. time: of that frame. patch: None
    if it cannot be found again. last: time of the last detection, or of a later frame that was not
    searched and in which its pixels were. times: how often it was read.
    shift: its way since it was read, in pixels. finer: whether a finer search found it. present:
    whether it was in the last frame. latest: its pixels there.
    """

    frame: int
    number: int
    time: float
    quad: TextQuad
    patch: Patch | None
    motion: Motion
    last: float
    detections: int = 1
    times: int = 1
    shift: Shift = (0.0, 0.0)
    finer: bool = False
    present: bool = True
    latest: Patch | None = None

    def place(self) -> Quad:
        """Return where it was last."""
        right, down = self.shift
        one, two, three, four = ((x + right, y + down) for x, y in self.quad.quad)
        return one, two, three, four

    def move_on(self, time: float) -> None:
        """Take note that its pixels were found at `place` at this time."""
        self.motion = self.motion.seen(bounds(self.place()), time, PIXELS_DEVIATION)


class FollowedLines(msgspec.Struct):
    """The state of one stream."""

    regions: list[Region] = []
    rests: bool = False
    """Whether some frames of the stream are not searched: for them `Region.latest` is kept."""
    last: float = 0.0
    """Time of the last frame."""

    def take(
        self,
        index: int,
        time: float,
        quads: Sequence[TextQuad],
        picture: Picture,
        cut: bool,
        finer: bool = False,
    ) -> tuple[TextQuad, ...]:
        """Return the regions of frame `index`; those that need not be read have `like`.

        finer: whether a finer search found them. Regions that the detector missed come last.
        """
        self.rests |= finer
        self._forget(time, cut)
        taken: list[TextQuad] = []
        chosen = self._chosen(time)
        known = list(self.regions)
        for region in known:
            region.present = False
        if not finer:
            finest = [region for region in known if region.finer]
            kept, quads = self._keep(finest, index, time, quads, picture, taken, chosen)
            known = [region for region in known if region not in kept]
        boxes = [bounds(quad.quad) for quad in quads]
        expected = [region.motion.at(time).box() for region in known]
        costs = np.array(
            [[-overlap(place, box) for box in boxes] for place in expected], np.float64
        ).reshape(len(known), len(boxes))
        of = {column: row for row, column in assign(costs, -MIN_OVERLAP)}
        for number, (quad, box) in enumerate(zip(quads, boxes, strict=True)):
            before = known[of[number]] if number in of else None
            like = None if before is None else _like(before, box, picture)
            fine = finer and _height(quad.quad) <= MAX_FINER_HEIGHT * picture.height
            again = id(before) in chosen
            if before is not None and like is not None:
                before.move_on(time)
            if like is None or again:
                self._read(before, index, len(taken), time, quad, box, picture, fine)
            elif before is not None:
                before.last = time
                before.detections += 1
                before.finer |= fine
                before.present = True
            taken.append(replace(quad, like=like, again=again and like is not None))
        there = [bounds(each.quad) for each in taken]
        for row in set(range(len(known))).difference(of.values()):
            often = known[row].detections >= MIN_DETECTIONS
            if often and all(overlap(expected[row], box) == 0 for box in there):
                missed = _missed(known[row], expected[row], picture)
                if missed is not None:
                    known[row].move_on(time)
                    known[row].present = True
                    taken.append(missed)
        self._keep_latest(picture)
        self.last = time
        return tuple(taken)

    def _keep(
        self,
        known: Sequence[Region],
        index: int,
        time: float,
        quads: Sequence[TextQuad],
        picture: Picture,
        taken: list[TextQuad],
        chosen: Set[int],
    ) -> tuple[list[Region], list[TextQuad]]:
        """Add the regions of a finer search to `taken` whose pixels are there, as that found them.

        Return these regions, and those of `quads` that are not mostly inside them. chosen: see
        `_chosen`.
        """
        found = [
            (region, quad)
            for region in known
            if (quad := _missed(region, region.motion.at(time).box(), picture)) is not None
        ]
        shares = [sum(_share(each.quad, quad.quad) for _, quad in found) for each in quads]
        rest = [each for each, share in zip(quads, shares, strict=True) if share <= MAX_SHARE]
        seen = [each for each in quads if each not in rest]
        # What has become longer is another line.
        longer = [each for each in quads if _extends(each.quad, [quad.quad for _, quad in found])]
        found = [
            (region, quad)
            for region, quad in found
            if not any(_share(quad.quad, each.quad) > MAX_SHARE for each in longer)
        ]
        rest += [each for each in longer if each not in rest]
        for region, quad in found:
            region.move_on(time)
            region.present = True
            again, place = id(region) in chosen, bounds(quad.quad)
            if any(_share(quad.quad, each.quad) > MAX_SHARE for each in seen):
                quad = replace(quad, detected=True)
                region.last = time
                region.detections += 1
            if again:
                last, detections = region.last, region.detections
                whole = replace(quad, like=None, detected=True)
                self._read(region, index, len(taken), time, whole, place, picture, True)
                # That it is read again does not say that it was detected.
                self.regions[-1].last, self.regions[-1].detections = last, detections
            taken.append(replace(quad, again=again))
        return [region for region, _ in found], rest

    def carry(
        self, time: float, picture: Picture, cut: bool, nothing_new: bool = False
    ) -> tuple[TextQuad, ...]:
        """Return the regions of a frame that was not searched: those whose pixels are there.

        nothing_new: whether everything in the frame was in the one before, too. Then regions are as
        they were there, which may be a little different from what they were when they were read.
        """
        self.rests |= nothing_new
        self._forget(time, cut)
        carried: list[TextQuad] = []
        for region in self.regions:
            place = region.motion.at(time).box()
            if nothing_new:
                there = _still_there(region, place, picture)
            else:
                there = _missed(region, place, picture)
            region.present = there is not None
            if there is not None:
                region.move_on(time)
                if region.last == self.last:  # it is no gap in which nothing was searched
                    region.last = time
                carried.append(there)
        self._keep_latest(picture)
        self.last = time
        return tuple(carried)

    def _keep_latest(self, picture: Picture) -> None:
        """Keep the pixels of the regions of this frame, for one after it that is not searched."""
        for region in self.regions:
            if region.present and self.rests:
                place = region.place()
                region.latest = _patch(place, bounds(place), picture)

    def _forget(self, time: float, cut: bool) -> None:
        """Forget the regions that were not detected for long, or all if there is a cut."""
        self.regions = [r for r in self.regions if time - r.last <= GAP_SECONDS and not cut]

    def _chosen(self, time: float) -> set[int]:
        """Return the `id` of each region that is to be read again if its pixels are there."""
        due = sorted((r for r in self.regions if _due(r, time)), key=lambda region: region.time)
        lengths = accumulate(_length(region.quad.quad) for region in due)
        return {
            id(region)
            for number, (region, length) in enumerate(zip(due, lengths, strict=True))
            if number == 0 or length <= MAX_AGAIN
        }

    def _read(
        self,
        before: Region | None,
        index: int,
        place: int,
        time: float,
        quad: TextQuad,
        box: Box,
        picture: Picture,
        finer: bool,
    ) -> None:
        """Have region `place` of frame `index` read, which continues `before`."""
        if before is None and len(self.regions) >= MAX_REGIONS:
            return
        region = Region(
            index,
            place,
            time,
            quad,
            _patch(quad.quad, box, picture),
            begin(box, time),
            time,
            finer=finer,
        )
        if before is not None:
            # Boxes of the same text differ, and say less about its way than its pixels.
            moved = before.motion.time == time
            region.motion = before.motion.of(box) if moved else before.motion.seen(box, time)
            region.detections, region.times = before.detections + 1, before.times + 1
            self.regions.remove(before)
        self.regions.append(region)


def bounds(quad: Quad) -> Box:
    """Return the upright box around a quad."""
    across, down = [x for x, _ in quad], [y for _, y in quad]
    return min(across), min(down), max(across), max(down)


def _extends(quad: Quad, others: Sequence[Quad]) -> bool:
    """Return whether a line is longer than those that share it, by more than MAX_EDGE heights."""
    within = [bounds(each) for each in others if _share(each, quad) > MAX_SHARE]
    if not within:
        return False
    (x1, y1, x2, y2), edge = bounds(quad), MAX_EDGE * _height(quad)
    if x2 - x1 >= y2 - y1:
        return min(b[0] for b in within) - x1 > edge or x2 - max(b[2] for b in within) > edge
    return min(b[1] for b in within) - y1 > edge or y2 - max(b[3] for b in within) > edge


def _share(one: Quad, other: Quad) -> float:
    """Return the share of a region inside another; 0 if their characters differ in height."""
    low, high = sorted((_height(one), _height(other)))
    if high > MAX_HEIGHT_RATIO * low:
        return 0.0
    (x1, y1, x2, y2), (left, top, right, bottom) = bounds(one), bounds(other)
    width, height = min(x2, right) - max(x1, left), min(y2, bottom) - max(y1, top)
    area = (x2 - x1) * (y2 - y1)
    return max(0.0, width) * max(0.0, height) / area if area > 0 else 0.0


def _height(quad: Quad) -> float:
    """Return the height of a region's characters in pixels, also if they are written sideways."""
    return min(math.dist(quad[0], quad[3]), math.dist(quad[0], quad[1]))


def _length(quad: Quad) -> float:
    """Return the length of a region in heights of its characters."""
    return max(math.dist(quad[0], quad[3]), math.dist(quad[0], quad[1])) / max(1.0, _height(quad))


def _patch(quad: Quad, box: Box, picture: Picture) -> Patch | None:
    height = _height(quad)
    x1, y1, x2, y2 = box
    return patch.cut(picture, (x1 - PADDING * height, y1, x2 + PADDING * height, y2), height)


def _like(region: Region, box: Box, picture: Picture) -> Like | None:
    """Return from where the reading is carried over; None if there is another text now."""
    like = _found(region, box, picture)
    if like is None:
        return None
    _, _, x, y = like.move
    x1, y1, x2, y2 = bounds(region.quad.quad)
    edges = (x1 + x, y1 + y, x2 + x, y2 + y)
    most = max(4.0, MAX_EDGE * _height(region.quad.quad))
    return like if max(abs(a - b) for a, b in zip(edges, box, strict=True)) <= most else None


def _due(region: Region, time: float) -> bool:
    """Return whether the region is to be read again, even if its pixels are the same."""
    moves = math.hypot(*region.shift) > SHIFT * _height(region.quad.quad)
    rest = MOVING_SECONDS if moves else REST_SECONDS
    return time - region.time >= (FIRST_SECONDS if region.times < FIRST_READINGS else rest)


def _missed(region: Region, place: Box, picture: Picture) -> TextQuad | None:
    """Return a region that was not detected if its pixels are at `place`."""
    return None if (like := _found(region, place, picture)) is None else _undetected(region, like)


def _still_there(region: Region, place: Box, picture: Picture) -> TextQuad | None:
    """Return a region if it is in the image as it was in the one before."""
    if not region.present:
        return None
    if region.latest is None:
        return _missed(region, place, picture)
    before, shift = bounds(region.place()), region.shift
    again = patch.find(region.latest, picture, (0.0, 0.0), _way(before, place), _reach(region))
    if again is None:
        return None
    region.shift = shift[0] + again[0], shift[1] + again[1]
    return _undetected(
        region, Like(frame=region.frame, number=region.number, move=(1.0, 0.0, *region.shift))
    )


def _undetected(region: Region, like: Like) -> TextQuad:
    return replace(region.quad, quad=region.place(), like=like, detected=False)


def _found(region: Region, place: Box, picture: Picture) -> Like | None:
    """Return the way of the region's pixels since it was read; None if they are not there.

    place: where it is expected.
    """
    if region.patch is None:
        return None
    way = _way(bounds(region.quad.quad), place)
    shift = patch.find(region.patch, picture, region.shift, way, _reach(region))
    if shift is None:
        return None
    region.shift = shift
    return Like(frame=region.frame, number=region.number, move=(1.0, 0.0, *shift))


def _way(one: Box, other: Box) -> Shift:
    """Return the way from the middle of a box to that of another."""
    return (other[0] + other[2] - one[0] - one[2]) / 2, (other[1] + other[3] - one[1] - one[3]) / 2


def _reach(region: Region) -> float:
    """Return the pixels around the expected place in which the region is searched."""
    moved = region.times > 1 or region.shift != (0.0, 0.0)
    return max(2.0, (REACH if moved else FIRST_REACH) * _height(region.quad.quad))
