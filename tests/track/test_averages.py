import pytest

from onlooker.track.averages import Averages
from onlooker.types import Attributes


def test_means_are_by_weight_and_of_the_frames_that_have_them() -> None:
    averages = Averages()
    averages.add(Attributes(male=1.0, age=(20, 30), emotions=(("HAPPY", 0.8),)), 3.0)
    averages.add(Attributes(male=0.0, smile=0.5, age=(40, 50), emotions=(("HAPPY", 0.4),)), 1.0)
    mean = averages.mean(None)
    assert mean is not None
    assert mean.male == pytest.approx(0.75)
    assert mean.smile == pytest.approx(0.5)
    assert mean.age == (25, 35)
    assert dict(mean.emotions or ()) == pytest.approx({"HAPPY": 0.7})
    assert mean.beard is None


def test_nothing_has_no_mean() -> None:
    assert Averages().mean(None) is None
