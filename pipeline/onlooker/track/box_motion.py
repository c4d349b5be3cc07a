"""The motion of a box: a constant-velocity Kalman filter whose time is in seconds.

Streams drop frames and cameras change their rate, so no constant counts frames. Centre, width and
height are four independent filters. All noise is given in sides of the box (the root of its area),
so the four have one covariance in common, which is kept once.
"""

import math

import msgspec
from msgspec.structs import replace

from onlooker.types import Box

ACCELERATION = 6.0
"""Standard deviation of the acceleration, in sides per second²: a head that starts to walk."""
RESIZING = 0.3
"""Share of a correction that the velocities of width and height take: heads keep their size."""
MEASUREMENT = 0.06
"""Standard deviation of a detector's box, in sides."""
FIRST_VELOCITY = 2.0
"""Standard deviation of the velocity of a box that was seen once, in sides per second."""
MAX_COAST_SECONDS = 1.0
"""A box that is not seen moves on for this long, then waits where it is."""


class Motion(msgspec.Struct):
    """The place and the velocity of a box: pixels, and pixels per second.

    place: centre x, centre y, width, height at `time`. velocity: their changes per second.
    covariance: of place and velocity, in sides: variance of the place, covariance, variance of the
    velocity.
    """

    time: float
    place: tuple[float, float, float, float]
    velocity: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    covariance: tuple[float, float, float] = (MEASUREMENT**2, 0.0, FIRST_VELOCITY**2)

    @property
    def side(self) -> float:
        """The root of the area, in pixels."""
        return math.sqrt(self.place[2] * self.place[3])

    def at(self, time: float) -> "Motion":
        """Return the prediction for `time`; the box itself if that is not later."""
        elapsed = time - self.time
        if elapsed <= 0:
            return self
        coasting = min(elapsed, MAX_COAST_SECONDS)
        x, y, width, height = (
            place + speed * coasting for place, speed in zip(self.place, self.velocity, strict=True)
        )
        # A box that seems to shrink quickly must not vanish while it is hidden.
        width, height = max(width, self.place[2] / 2), max(height, self.place[3] / 2)
        resting = elapsed > MAX_COAST_SECONDS
        variance, mixed, speed_variance = self.covariance
        noise = ACCELERATION**2
        return Motion(
            time,
            (x, y, width, height),
            (0.0, 0.0, 0.0, 0.0) if resting else self.velocity,
            (
                variance
                + 2 * mixed * elapsed
                + speed_variance * elapsed**2
                + noise * elapsed**4 / 4,
                mixed + speed_variance * elapsed + noise * elapsed**3 / 2,
                speed_variance + noise * elapsed**2,
            ),
        )

    def seen(self, box: Box, time: float, deviation: float = MEASUREMENT) -> "Motion":
        """Return the estimate after the box was detected at `time`.

        deviation: standard deviation of the box, in sides.
        """
        predicted = self.at(time)
        variance, mixed, speed_variance = predicted.covariance
        gain = variance / (variance + deviation**2)
        speed_gain = mixed / (variance + deviation**2)
        found = _place(box)
        speed_gains = (speed_gain, speed_gain, RESIZING * speed_gain, RESIZING * speed_gain)
        errors = [one - other for one, other in zip(found, predicted.place, strict=True)]
        x, y, width, height = (
            place + gain * error for place, error in zip(predicted.place, errors, strict=True)
        )
        speed_x, speed_y, widening, heightening = (
            speed + part * error
            for speed, part, error in zip(predicted.velocity, speed_gains, errors, strict=True)
        )
        return Motion(
            time,
            (x, y, width, height),
            (speed_x, speed_y, widening, heightening),
            (
                (1 - gain) * variance,
                (1 - gain) * mixed,
                speed_variance - speed_gain * mixed,
            ),
        )

    def of(self, box: Box) -> "Motion":
        """Return the same velocity of another box, as where more of the same thing is detected."""
        return replace(self, place=_place(box))

    def spread(self) -> float:
        """Return the standard deviation of the place, in sides."""
        return math.sqrt(self.covariance[0])

    def box(self) -> Box:
        """Return the box as corners."""
        x, y, width, height = self.place
        return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def begin(box: Box, time: float) -> Motion:
    """Return the motion of a box that is seen for the first time."""
    return Motion(time, _place(box))


def overlap(one: Box, other: Box, margin: float = 0.0) -> float:
    """Return the intersection over union, 0 to 1, after each side of both moves out by `margin`.

    margin: in pixels. With one, boxes that moved further than their size still overlap (Yang et
    al., "Hard to Track Objects with Irregular Motions and Similar Appearances? Make It Easier by
    Buffering the Matching Space", 2023).
    """
    width = min(one[2], other[2]) - max(one[0], other[0]) + 2 * margin
    height = min(one[3], other[3]) - max(one[1], other[1]) + 2 * margin
    if width <= 0 or height <= 0:
        return 0.0
    common = width * height
    return common / (_area(one, margin) + _area(other, margin) - common)


def _area(box: Box, margin: float) -> float:
    return (box[2] - box[0] + 2 * margin) * (box[3] - box[1] + 2 * margin)


def _place(box: Box) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = box
    return (x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1
