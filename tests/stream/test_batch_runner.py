"""Batches: when they begin, what they hold, and what becomes of errors."""

import threading
from collections.abc import Iterator, Sequence

import pytest
from tests.support.processes import wait_until

from onlooker.stream.batch_runner import BatchRunner


class Steps:
    """A step that waits to be released."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.go = threading.Semaphore(0)

    def __call__(self, jobs: Sequence[int]) -> list[int]:
        self.batches.append([*jobs])
        assert self.go.acquire(timeout=60)
        if 13 in jobs:
            raise ValueError("thirteen")
        return [10 * job for job in jobs]


@pytest.fixture
def steps() -> Steps:
    return Steps()


@pytest.fixture
def runner(steps: Steps) -> Iterator[BatchRunner[int, int]]:
    runner = BatchRunner(steps, size=4, at_once=2)
    yield runner
    steps.go.release(100)
    runner.close()


def answers(runner: BatchRunner[int, int], count: int) -> list[int]:
    found: list[int] = []

    def complete() -> bool:
        found.extend(runner.step())
        return len(found) >= count

    assert wait_until(complete, 60)
    return found


def test_a_lone_job_does_not_wait_and_those_after_it_gather(
    runner: BatchRunner[int, int], steps: Steps
) -> None:
    runner.add(1)
    assert list(runner.step()) == []
    assert runner.busy
    for job in (2, 3, 4):
        runner.add(job)
        assert list(runner.step()) == []
    assert wait_until(lambda: steps.batches == [[1]], 60)
    runner.add(5)  # now they are a full batch, which runs beside the first
    assert list(runner.step()) == []
    assert wait_until(lambda: steps.batches == [[1], [2, 3, 4, 5]], 60)
    for job in range(6, 12):  # a third has to wait, full or not
        runner.add(job)
    assert list(runner.step()) == []
    steps.go.release(2)
    assert sorted(answers(runner, 5)) == [10, 20, 30, 40, 50]
    steps.go.release(2)
    assert sorted(answers(runner, 6)) == [60, 70, 80, 90, 100, 110]
    assert steps.batches[2:] == [[6, 7, 8, 9], [10, 11]]
    assert not runner.busy


def test_an_error_is_raised_where_the_answers_are_taken(
    runner: BatchRunner[int, int], steps: Steps
) -> None:
    runner.add(13)
    steps.go.release()
    with pytest.raises(ValueError, match="thirteen"):
        answers(runner, 1)
