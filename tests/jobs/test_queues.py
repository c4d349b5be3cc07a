"""Queues: a message is received, hidden, deleted by its last receipt, and received again else."""

import time
from pathlib import Path

import pytest
from tests.support.stored_videos import TOPIC, started, store

from onlooker.jobs.job_store import JobStore
from onlooker.jobs.queues import Counts, Queues

QUEUE = "AmazonRekognitionDone"


class Clock:
    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(time, "time", made)
    return made


def filled(jobs: JobStore, number: int) -> Queues:
    for _ in range(number):
        jobs.finish(started(jobs, topic=TOPIC), "SUCCEEDED")
    return Queues(jobs.database, 1000.0)


def test_receive_hide_and_delete(tmp_path: Path, clock: Clock) -> None:
    with store(tmp_path) as jobs:
        queues = filled(jobs, 3)
        first = queues.receive(QUEUE, 2, 30.0)
        assert [each.receives for each in first] == [1, 1]
        assert queues.counts(QUEUE) == Counts(1, 2)
        [third] = queues.receive(QUEUE, 10, 30.0)
        assert len({each.id for each in (*first, third)}) == 3
        assert queues.receive(QUEUE, 10, 30.0) == []
        assert queues.delete(QUEUE, first[0].receipt)
        assert not queues.delete(QUEUE, first[0].receipt)
        clock.now += 31
        again = queues.receive(QUEUE, 10, 30.0)
        assert {each.id for each in again} == {first[1].id, third.id}
        assert {each.receives for each in again} == {2}
        # The first receipt of a message that was received again is no good.
        assert not queues.delete(QUEUE, third.receipt)
        for each in again:
            assert queues.delete(QUEUE, each.receipt)
        assert queues.counts(QUEUE) == Counts(0, 0)


def test_hiding_for_longer_and_for_shorter(tmp_path: Path, clock: Clock) -> None:
    with store(tmp_path) as jobs:
        queues = filled(jobs, 1)
        [one] = queues.receive(QUEUE, 1, 30.0)
        assert queues.hide(QUEUE, one.receipt, 100.0)
        clock.now += 60
        assert queues.receive(QUEUE, 1, 30.0) == []
        assert queues.hide(QUEUE, one.receipt, 0.0)
        assert not queues.hide(QUEUE, one.receipt, 10.0)
        assert len(queues.receive(QUEUE, 1, 30.0)) == 1


def test_queues_are_apart_purged_and_expire(tmp_path: Path, clock: Clock) -> None:
    with store(tmp_path) as jobs:
        queues = filled(jobs, 2)
        assert queues.receive("other", 10, 30.0) == []
        queues.purge("other")
        assert queues.counts(QUEUE).visible == 2
        clock.now += 1001
        assert queues.receive(QUEUE, 10, 30.0) == []
        assert queues.counts(QUEUE) == Counts(0, 0)
        queues.expire()
        assert jobs.database.rows("SELECT count(*) FROM messages") == [(0,)]
        filled(jobs, 1).purge(QUEUE)
        assert queues.counts(QUEUE) == Counts(0, 0)
