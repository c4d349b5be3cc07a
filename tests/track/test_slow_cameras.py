"""People and signs before cameras of few frames, some of which are dropped: the whole pipeline."""

from collections.abc import Iterator
from fractions import Fraction

import pytest
from tests.support import films, steps
from tests.support.drawn_scenes import PAPER, TAN, Person, Scene, Sign

from onlooker.config.schema import Config, Text
from onlooker.config.tracking import Tracks
from onlooker.media.picture import Pixels
from onlooker.record.log.reader import Log
from onlooker.record.log.visit_table import VisitQuery
from onlooker.rekognition.shapes import Appearance, Reading
from onlooker.stream.inline import inline
from onlooker.stream.outputs import Outputs

ABSENCE = 3.0
BEFORE, AWAY, AFTER = 6, 4.0, 4
"""Frames in which somebody is there, with two of them dropped; seconds without; frames again."""
DROPPED = (1, 4)


def desk(there: bool) -> Pixels:
    """Return a wall, and before it somebody and a sign if they are `there`."""
    scene = Scene((196, 204, 202), (128, 140, 158), 250)
    scene.box(0, 285, 640, 75, (86, 110, 142))
    if there:
        scene.person(Person(200, 128, 90, TAN, (70, 110, 160), (120, 112, 78)))
        scene.sign(Sign("RECEPTION", 330, 130, 24, PAPER, (82, 138, 40)))
    return scene.image


def planned(fps: float, jitter: float) -> list[tuple[float, bool]]:
    """Return the time of each frame, and whether there is something in it.

    jitter: share of the interval by which two of each four frames are late.
    """
    late = jitter / fps
    frames = [(n / fps + late * (n // 2 % 2), True) for n in range(BEFORE) if n not in DROPPED]
    left = BEFORE / fps
    frames += [(left + second, False) for second in range(int(AWAY))]
    return frames + [(left + AWAY + n / fps, True) for n in range(AFTER)]


CAMERAS = [(1, 0.0), (1, 0.2), (2, 0.0), (2, 0.2), (5, 0.0)]
"""Frames a second, and jitter."""


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Log]:
    """The visits before all cameras, whose streams have the names that `name` gives."""
    folder = tmp_path_factory.mktemp("slow")
    images = {there: desk(there) for there in (True, False)}
    videos = []
    for fps, jitter in CAMERAS:
        plan = planned(fps, jitter)
        video = films.write(
            folder / f"{name(fps, jitter)}.mp4",
            images=[images[there] for _, there in plan],
            pts=[round(1000 * time) for time, _ in plan],
            time_base=Fraction(1, 1000),
        )
        videos.append(video)
    outputs = Outputs(log=folder / "slow.db")
    config = Config(tracks=Tracks(absence=ABSENCE), text=Text(size=320))  # the text is large
    inline(videos, config, outputs, steps.quiet)
    with Log(outputs.log_path) as log:
        yield log


def name(fps: float, jitter: float) -> str:
    return f"slow-{fps}-{round(100 * jitter)}"


@pytest.mark.parametrize(("fps", "jitter"), CAMERAS)
def test_a_dropped_frame_splits_nothing_and_an_absence_does(
    fps: float, jitter: float, log: Log
) -> None:
    here = VisitQuery(stream=name(fps, jitter))
    signs = [line.event for line in log.visits(Reading, here)]
    people = [visit.event for visit in log.visits(Appearance, here)]
    there = [time for time, there in planned(fps, jitter) if there]
    first, second = there[:-AFTER], there[-AFTER:]
    expected = [pytest.approx((each[0], each[-1]), abs=0.01) for each in (first, second)]
    assert [sign.DetectedText for sign in signs] == ["RECEPTION"] * 2
    assert [(sign.Start, sign.End) for sign in signs] == expected
    assert [(one.Start, one.End) for one in people] == expected
