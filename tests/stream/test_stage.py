"""Stages, and what their factories receive."""

from contextlib import ExitStack

import pytest
from tests.support import steps
from tests.support.frames import frame

from onlooker.config.schema import Config, Pipeline, Runtime, SourceConfig
from onlooker.stream import capacity
from onlooker.stream.feeds import Feed
from onlooker.stream.stage import NoPicture, Setup, Stage, maker, row


def test_a_stateful_stage_must_be_ordered() -> None:
    with pytest.raises(ValueError, match="stage count is stateful: it must be ordered too"):
        Stage("count", steps.count, stateful=True)


def test_a_stage_has_the_workers_that_it_says_or_that_are_configured() -> None:
    config = Config(pipeline=Pipeline(workers=3))
    assert Stage("detect", steps.measure).processes(config) == 3
    assert Stage("record", steps.measure, workers=1).processes(config) == 1


def test_a_stage_that_follows_streams_has_processes_for_the_cores_that_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(capacity, "cores", lambda: 16)
    follows = Stage("count", steps.count, ordered=True, stateful=True)
    assert follows.processes(Config(pipeline=Pipeline(workers=3))) == 2
    assert follows.processes(Config(runtime=Runtime(provider="cuda"))) == 4


def test_the_plan_has_all_that_a_worker_needs_to_know_of_its_stage() -> None:
    written = row(steps.COUNT, Config())
    assert written.make == "tests.support.steps:count"
    assert (written.ordered, written.stateful, written.leases) == (True, True, 4)
    assert maker(written) is steps.count


def test_the_configuration_of_a_feed_is_read_once() -> None:
    read: list[int] = []

    def feed(number: int) -> Feed:
        read.append(number)
        return Feed(stream="a", source=SourceConfig(url="a"), digest="e", analysis="d")

    setup = Setup(Config(), ExitStack(), feed)
    assert setup.of(frame("a", 0)) == setup.of(frame("a", 1))
    assert setup.analysis(frame("a", 2)) == "d"
    assert read == [0]


def test_a_frame_without_an_image_says_so() -> None:
    picture = NoPicture()
    for look in (
        lambda: picture.small(8),
        lambda: picture.region(0, 0, 1, 1),
        lambda: picture.luma(0, 0, 1, 1),
    ):
        with pytest.raises(LookupError, match="the frame has no image"):
            look()
