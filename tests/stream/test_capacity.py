"""The sizes of a run, by its provider and by what is set."""

import os

import pytest

from onlooker.config.schema import Config, Pipeline, Runtime
from onlooker.config.section import ConfigError
from onlooker.config.serving import Workers
from onlooker.stream import capacity


def sizes(config: Config) -> tuple[int, ...]:
    return (
        capacity.workers(config),
        capacity.batch(config),
        capacity.leases(config),
        capacity.window(config),
        capacity.videos_at_once(config),
    )


def test_on_processors_each_core_takes_one_frame_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capacity, "cores", lambda: 12)
    assert sizes(Config()) == (12, 1, 1, 16, 12)
    assert sizes(Config(pipeline=Pipeline(workers=3, window=8))) == (3, 1, 1, 8, 3)


def test_more_frames_are_in_flight_if_other_machines_may_join() -> None:
    listening = Workers(listen="tcp://127.0.0.1:5570", key="hub.key")
    assert capacity.window(Config(workers=listening)) == 2 * capacity.window(Config())
    small = Pipeline(window=8)
    assert capacity.window(Config(workers=listening, pipeline=small)) == 8


def test_on_a_card_few_workers_take_many_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capacity, "cores", lambda: 12)
    cuda = Runtime(provider="cuda")
    assert sizes(Config(runtime=cuda)) == (2, 32, 128, 64, 12)
    small = Pipeline(workers=1, batch=8, window=20)
    assert sizes(Config(runtime=cuda, pipeline=small)) == (1, 8, 32, 20, 12)


def test_streams_are_followed_by_few_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = Config(runtime=Runtime(provider="cuda"))
    for cores, alone, beside_a_card in ((1, 1, 1), (4, 1, 1), (16, 2, 4), (64, 8, 16)):
        monkeypatch.setattr(capacity, "cores", lambda cores=cores: cores)
        assert capacity.followers(Config()) == alone
        assert capacity.followers(cuda) == beside_a_card


def test_a_window_of_one_frame_is_refused() -> None:
    with pytest.raises(ConfigError, match="window: must be at least 2, or 0"):
        Pipeline(window=1)


def test_the_cores_are_those_that_this_process_may_use() -> None:
    assert capacity.cores() >= 1


def test_workers_have_cores_of_their_own_where_there_are_as_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {5, 3})
    found = [capacity.pinned(workers, Config()) for workers in (1, 2, 3)]
    assert found == [[None], [3, 5], [None] * 3]
