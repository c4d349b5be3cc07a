"""A camera's ring beside the hub: as many frames wait as the hub lets wait, and the newest wins."""

import heapq
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from tests.support.frames import frame
from tests.support.line import PLANES

from onlooker.config.schema import Config, Pipeline, SourceConfig
from onlooker.stream import messages, stage, stages
from onlooker.stream.feeds import Feed
from onlooker.stream.hub import Hub
from onlooker.stream.source import Source
from onlooker.stream.source_process import room

WORKERS = 2
SECONDS = {"detect": 0.1, "associate": 0.004, "recognise": 0.1, "track": 0.002, "record": 0.004}
READY = {"detect": 1.5, "recognise": 4.0}
"""Seconds until the stages with models have workers."""


@pytest.mark.parametrize("fps", [10, 25, 30])
def test_no_frame_is_shed_while_models_are_loaded(fps: int, tmp_path: Path) -> None:
    rows = [stage.row(each, Config()) for each in stages.STAGES]
    hub = Hub(rows, Pipeline(), 1)
    settings = SourceConfig(url="camera", policy="live")
    feed = Feed(stream="door", source=settings, digest="d", frames=None, width=2, height=2)
    source = Source(feed, str(tmp_path / "door"), room(None, WORKERS), 1)
    waiting: list[tuple[float, int, str, Any, bytes]] = []
    free: dict[str, float] = {}

    def later(time: float, who: str, what: Any, data: bytes = b"") -> None:
        heapq.heappush(waiting, (time, next(numbers), who, what, data))

    def send(sends: Iterable[Any], now: float) -> None:
        for receiver, message, data in sends:
            if receiver == "door":
                for answer, more in source.receive(message):
                    send(hub.handle("door", answer, more, now), now)
            elif isinstance(message, messages.Job):
                done = max(now, free.get(receiver, 0.0)) + SECONDS[receiver.partition("-")[0]]
                free[receiver] = done
                result = messages.Result(message.lease, None, 1.0, 0.5, 1.0, False)
                later(done, receiver, result, data)

    numbers = iter(range(1_000_000))
    send(hub.handle("door", source.registration(None), b"", 0.0), 0.0)
    for row in rows:
        for number in range(1 if row.ordered else WORKERS):
            ready = messages.Ready(row.name, False)
            later(READY.get(row.name, 0.5), f"{row.name}-{number}", ready)
    for number in range(4 * fps):
        later(0.01 + number / fps, "door", None)
    while waiting and waiting[0][0] < 4.05:
        now, _, who, message, data = heapq.heappop(waiting)
        if message is None:
            offers = source.offer(frame("door", source.next), PLANES, 0.0, now)
            for offer, more in offers:
                send(hub.handle("door", offer, more, now), now)
        else:
            send(hub.handle(who, message, data, now), now)
    dropped = hub.streams["door"].counts.dropped
    assert set(dropped) == {"superseded"}
