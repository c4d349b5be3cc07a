"""The step that says what is known of a frame."""

from contextlib import ExitStack

import numpy as np
import pytest
from tests.support.frame_records import FACE
from tests.support.frames import frame

from onlooker.config.schema import Config, SourceConfig
from onlooker.config.tracking import Tracks
from onlooker.media.picture import Still
from onlooker.stream.associate_step import AssociateStep
from onlooker.stream.feeds import Feed
from onlooker.stream.stage import Setup, StatefulStep, Work
from onlooker.types import Frame

PICTURE = Still(np.zeros((360, 640, 3), np.uint8))


def step(config: Config) -> AssociateStep:
    feed = Feed(stream="door", source=SourceConfig(url="door"), digest="e", analysis="d")
    return AssociateStep(Setup(config, ExitStack(), lambda _: feed))


def take(made: AssociateStep, each: Frame) -> bool:
    [result] = made([Work(each, PICTURE)])
    return result.known


def test_each_stream_has_a_state_of_its_own() -> None:
    made = step(Config())
    assert isinstance(made, StatefulStep)
    assert not take(made, frame("door", 0, faces=(FACE,)))
    assert not take(made, frame("gate", 1, faces=(FACE,)))
    assert take(made, frame("door", 1, faces=(FACE,)))
    other = step(Config())
    other.restore("door", made.snapshot("door"))
    assert take(other, frame("door", 2, faces=(FACE,)))


@pytest.mark.parametrize(
    ("config", "still"), [(Config(tracks=Tracks(enabled=False)), False), (Config(), True)]
)
def test_what_is_not_followed_is_recognised(config: Config, still: bool) -> None:
    made = step(config)
    for index in range(2):
        assert not take(made, frame("door", index, faces=(FACE,), still=still))
    assert made.snapshot("door")
