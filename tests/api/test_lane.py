"""Threads with a queue that has an end."""

import asyncio
import threading

import pytest

from onlooker.api.errors import Refusal
from onlooker.api.lane import Lane


def test_it_returns_and_raises_what_the_work_does() -> None:
    lane = Lane("test", 1, 0)

    def fail() -> None:
        raise LookupError("as it must")

    async def use() -> None:
        assert await lane.run(lambda: 7, 5) == 7
        with pytest.raises(LookupError):
            await lane.run(fail, 5)

    asyncio.run(use())
    lane.close()


def test_who_finds_it_full_is_refused_at_once() -> None:
    heard: list[int] = []
    lane, go = Lane("test", 1, 2, heard.append), threading.Event()

    async def use() -> None:
        waiting = [asyncio.create_task(lane.run(go.wait, 5)) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(Refusal, match="1 requests are worked on and 2 wait") as raised:
            await lane.run(go.wait, 5)
        assert raised.value.name == "ThrottlingException"
        go.set()
        assert await asyncio.gather(*waiting) == [True] * 3
        # Who waited hears of the end before it is counted.
        async with asyncio.timeout(30):
            while lane._pending:
                await asyncio.sleep(0.001)

    asyncio.run(use())
    lane.close()
    assert heard == [1, 2, 3, 2, 1, 0]


def test_what_takes_too_long_is_given_up() -> None:
    lane, go = Lane("test", 1, 1), threading.Event()
    began: list[int] = []

    async def use() -> None:
        long = asyncio.create_task(lane.run(go.wait, 0.2))
        behind = asyncio.create_task(lane.run(lambda: began.append(1), 0.1))
        with pytest.raises(Refusal, match="Nobody had time for it") as raised:
            await behind
        assert raised.value.name == "ThrottlingException"
        with pytest.raises(Refusal, match=r"more than 0\.2 s") as raised:
            await long
        assert (raised.value.name, raised.value.status) == ("InternalServerError", 500)
        # The thread is not free before it has ended.
        await asyncio.sleep(0.05)
        lane.check()
        go.set()

    asyncio.run(use())
    lane.close()
    assert began == []
