"""The publisher's process; tests/record/sinks/test_publish.py has the protocol."""

import pytest

from onlooker.stream import publisher
from onlooker.stream.publisher import BUSY_WAIT_SECONDS, IDLE_WAIT_SECONDS, Pace


def test_the_log_is_read_often_only_while_records_come(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    pace = Pace()
    assert pace.wait == 0.0, "the first records are there already"
    assert pace.published(3) == 3
    assert pace.wait == 0.0, "there may be more"
    reads = 0
    while now < 160.0:  # nothing comes for a minute
        pace.published(0)
        now += pace.wait
        reads += 1
    assert reads < 60 / IDLE_WAIT_SECONDS + publisher.IDLE_AFTER_SECONDS / BUSY_WAIT_SECONDS + 2
    pace.published(1)
    pace.published(0)
    assert pace.wait == BUSY_WAIT_SECONDS
