"""Head pose: the rotation of a mesh in space, or an estimate from five points.

The angles are Amazon's. The head is first pitched, then turned by the yaw about its upright axis,
then rolled in the image: so yaw is within -90 to 90, and a head that is turned further has a pitch
and a roll beyond 90. Roll is positive for a head that leans clockwise in the image, yaw for one
whose nose points to the right of the image if it does not lean, pitch for one that is raised.
"""

import math

import numpy as np
from numpy.typing import NDArray

from onlooker.types import Point, Pose

Rotation = NDArray[np.float64]
"""(3, 3): from a face that looks at the viewer to the image; x to the right, y down, z away."""

# The nose tip protrudes, so it moves over the face as the head turns. The first is its place
# between the eyes (0) and the mouth (1) of a frontal face, the median of the detector's points. The
# others are its shifts at 45 degrees, in distances between the eyes and from the eyes to the mouth,
# fitted to recorded answers of Rekognition.
FRONTAL_NOSE = 0.55
NOSE_YAW_SHIFT = 0.75
NOSE_PITCH_SHIFT = 0.36

# A mesh lags behind a head that looks aside: it shows what is visible, and guesses the rest. The
# lag grows with the square of the angle. Fitted to 140 rendered heads of other people than those of
# tests/proofs/poses.py.
LAG_GROWTH = 0.004


def rotation(points: NDArray[np.float64], reference: NDArray[np.float64]) -> Rotation:
    """Return the rotation from the reference to the points, (n, 3) each, whatever their places.

    It has the least squared distances (Kabsch, "A solution for the best rotation to relate two sets
    of vectors", 1976). `reference` has its mean at 0.
    """
    left, _, right = np.linalg.svd((points - points.mean(0)).T @ reference)
    if np.linalg.det(left) * np.linalg.det(right) < 0:  # a reflection
        left[:, 2] = -left[:, 2]
    return np.asarray(left @ right)


def angles(turn: Rotation) -> Pose:
    """Return the pose of a head that a mesh shows rotated like this."""
    (_, _, aside), (_, _, below), (_, _, away) = turn.tolist()
    tilt = math.degrees(math.atan2(math.hypot(aside, below), away))
    if 0 < tilt < 90:
        # Turn the head further, about the axis across the direction that it looks in.
        further = min(90.0, tilt + LAG_GROWTH * tilt**2) - tilt
        turn = _about(-below, aside, math.radians(further)) @ turn
    (right, _, _), (down, _, _), (aside, below, away) = turn.tolist()
    return Pose(
        roll=math.degrees(math.atan2(down, right)),
        yaw=math.degrees(math.asin(max(-1.0, min(1.0, aside)))),
        pitch=math.degrees(math.atan2(-below, away)),
    )


def _about(x: float, y: float, angle: float) -> Rotation:
    """Return the rotation by radians about an axis in the image (Rodrigues)."""
    length = math.hypot(x, y)
    x, y = x / length, y / length
    cross = np.array([[0.0, 0.0, y], [0.0, 0.0, -x], [-y, x, 0.0]])
    return np.asarray(np.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * cross @ cross)


def pose(points: tuple[Point, Point, Point, Point, Point]) -> Pose:
    """Return the pose of a head by its five points, in degrees; pitch is within -90 to 90."""
    left_eye, right_eye, nose, left_mouth, right_mouth = (complex(*point) for point in points)
    # Eyes and mouth together give a steadier direction than the eyes alone.
    across = (right_eye - left_eye) + (right_mouth - left_mouth)
    if across == 0:
        return Pose(roll=0.0, yaw=0.0, pitch=0.0)
    upright = across.conjugate() / abs(across)
    middle = (left_eye + right_eye) / 2
    mouth = ((left_mouth + right_mouth) / 2 - middle) * upright
    tip = (nose - middle) * upright
    down = tip.imag / mouth.imag if mouth.imag else FRONTAL_NOSE
    eyes_apart = abs(((right_eye - left_eye) * upright).real)
    return Pose(
        roll=math.degrees(math.atan2(across.imag, across.real)),
        yaw=math.degrees(math.atan2(tip.real - down * mouth.real, NOSE_YAW_SHIFT * eyes_apart)),
        pitch=math.degrees(math.atan((FRONTAL_NOSE - down) / NOSE_PITCH_SHIFT)),
    )
