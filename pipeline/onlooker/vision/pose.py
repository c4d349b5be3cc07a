"""Head pose from the five points of a face."""

import math

from onlooker.types import Point, Pose

# The nose tip protrudes, so it moves over the face as the head turns. The first is its place
# between the eyes (0) and the mouth (1) of a frontal face, the median of the detector's points. The
# others are its shifts at 45 degrees, in distances between the eyes and from the eyes to the mouth,
# fitted to recorded answers of Rekognition.
FRONTAL_NOSE = 0.55
NOSE_YAW_SHIFT = 0.75
NOSE_PITCH_SHIFT = 0.36


def pose(points: tuple[Point, Point, Point, Point, Point]) -> Pose:
    """Return the turn of a head in degrees; yaw and pitch are within -90 to 90.

    The signs are Amazon's: roll is positive for a head that leans clockwise in the image, yaw for
    one whose nose points to the right of the image, pitch for one that is raised.
    """
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
