"""Threads with a queue that has an end, and clients that take turns."""

import asyncio
import gc
import threading
import weakref
from contextlib import suppress
from functools import partial

import pytest

from onlooker.api.errors import Refusal
from onlooker.api.fair_queue import FairQueue


def test_results_and_errors_of_the_work_are_passed_on() -> None:
    queue = FairQueue("test", 1, 0)

    def fail() -> None:
        raise LookupError("as it must")

    async def use() -> None:
        assert await queue.run("a", lambda: 7, 60) == 7
        with pytest.raises(LookupError):
            await queue.run("a", fail, 60)

    asyncio.run(use())
    queue.close()


def test_a_full_queue_refuses_at_once() -> None:
    heard: list[int] = []
    queue, go = FairQueue("test", 1, 2, heard.append), threading.Event()

    async def use() -> None:
        waiting = [asyncio.create_task(queue.run("a", go.wait, 60)) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(Refusal, match="1 requests are worked on and 2 wait") as raised:
            await queue.run("a", go.wait, 60)
        assert raised.value.name == "ThrottlingException"
        go.set()
        assert await asyncio.gather(*waiting) == [True] * 3
        # Who waited hears of the end before it is counted.
        async with asyncio.timeout(30):
            while queue.pending:
                await asyncio.sleep(0.001)

    asyncio.run(use())
    queue.close()
    assert heard == [1, 2, 3, 2, 1, 0]


def test_work_that_takes_too_long_is_given_up() -> None:
    queue, go = FairQueue("test", 1, 1), threading.Event()
    began: list[int] = []

    async def use() -> None:
        long = asyncio.create_task(queue.run("a", go.wait, 1.0))
        behind = asyncio.create_task(queue.run("a", lambda: began.append(1), 0.5))
        with pytest.raises(Refusal, match="No thread was free") as raised:
            await behind
        assert raised.value.name == "ThrottlingException"
        with pytest.raises(Refusal, match=r"more than 1 s") as raised:
            await long
        assert (raised.value.name, raised.value.status) == ("InternalServerError", 500)
        # The thread is not free before it has ended.
        await asyncio.sleep(0.05)
        queue.check("a")
        go.set()

    asyncio.run(use())
    queue.close()
    assert began == []


def test_clients_take_turns_and_the_one_with_most_waiting_makes_room() -> None:
    queue, go = FairQueue("test", 1, 4), threading.Event()
    order: list[str] = []

    def work(name: str) -> str:
        go.wait(60)
        order.append(name)
        return name

    async def use() -> None:
        def ask(client: str, number: int) -> "asyncio.Task[str]":
            return asyncio.create_task(queue.run(client, lambda: work(f"{client}{number}"), 60))

        flood = [ask("flood", number) for number in range(5)]
        await asyncio.sleep(0)
        with pytest.raises(Refusal, match="4 wait"):
            queue.check("flood")
        others = [ask("b", 0), ask("c", 0)]
        await asyncio.sleep(0)
        with pytest.raises(Refusal, match="4 wait"):
            queue.check("b")  # no client has two more than b would have
        go.set()
        assert await asyncio.gather(*others) == ["b0", "c0"]
        results = await asyncio.gather(*flood, return_exceptions=True)
        assert results[:3] == ["flood0", "flood1", "flood2"]
        assert [type(one) for one in results[3:]] == [Refusal, Refusal]

    asyncio.run(use())
    queue.close()
    assert order == ["flood0", "flood1", "b0", "c0", "flood2"]


def test_later_parts_of_a_request_are_not_refused_but_have_the_same_time() -> None:
    queue, go = FairQueue("test", 1, 0), threading.Event()

    async def use() -> None:
        began = asyncio.get_running_loop().time()
        running = asyncio.create_task(queue.run("a", go.wait, 60))
        await asyncio.sleep(0)
        with pytest.raises(Refusal, match="0 wait"):
            await queue.run("b", lambda: 7, 60)
        later = asyncio.create_task(queue.run("b", lambda: 7, 5, began))
        with pytest.raises(Refusal, match=r"No thread was free for 0\.2 s"):
            await queue.run("b", lambda: 7, 0.2, began - 0.19)
        go.set()
        assert await later == 7
        assert await running

    asyncio.run(use())
    queue.close()


def test_a_later_part_of_a_request_makes_no_room_for_others() -> None:
    queue, go = FairQueue("test", 1, 3), threading.Event()

    async def use() -> None:
        began = asyncio.get_running_loop().time()
        running = asyncio.create_task(queue.run("a", partial(go.wait, 2), 60))
        await asyncio.sleep(0)
        first = [asyncio.create_task(queue.run("a", lambda: "first", 60)) for _ in range(2)]
        await asyncio.sleep(0)
        later = asyncio.create_task(queue.run("a", lambda: "later", 5, began))
        await asyncio.sleep(0)
        # The queue is full, and `a` has three functions in it: its newest first part makes room.
        other = asyncio.create_task(queue.run("b", lambda: "other", 60))
        await asyncio.sleep(0)
        go.set()
        assert await later == "later"
        assert await other == "other"
        assert await running
        results = await asyncio.gather(*first, return_exceptions=True)
        assert [type(each) for each in results] == [str, Refusal]

    asyncio.run(use())
    queue.close()


def test_cancelled_work_is_not_begun() -> None:
    queue, go = FairQueue("test", 1, 1), threading.Event()
    began: list[int] = []

    async def use() -> None:
        running = asyncio.create_task(queue.run("a", partial(go.wait, 2), 60))
        behind = asyncio.create_task(queue.run("a", lambda: began.append(1), 60))
        await asyncio.sleep(0)
        assert queue.pending == 2
        behind.cancel()
        with pytest.raises(asyncio.CancelledError):
            await behind
        assert queue.pending == 1
        go.set()
        assert await running

    asyncio.run(use())
    queue.close()
    assert began == []


def test_later_parts_alone_make_no_room() -> None:
    queue, go = FairQueue("test", 1, 2), threading.Event()

    async def use() -> None:
        began = asyncio.get_running_loop().time()
        running = asyncio.create_task(queue.run("a", partial(go.wait, 2), 60))
        await asyncio.sleep(0)
        later = [asyncio.create_task(queue.run("a", lambda: 7, 5, began)) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(Refusal, match="2 wait"):
            await queue.run("b", lambda: 7, 60)
        go.set()
        assert await asyncio.gather(running, *later) == [True, 7, 7, 7]

    asyncio.run(use())
    queue.close()


def test_failed_work_is_not_kept_in_memory() -> None:
    class Body:
        pass

    queue, kept = FairQueue("test", 1, 0), []

    async def use() -> None:
        def fail(body: Body) -> None:
            raise LookupError

        body = Body()
        kept.append(weakref.ref(body))
        with suppress(LookupError):
            await queue.run("a", partial(fail, body), 60)

    gc.disable()
    try:
        asyncio.run(use())
        assert kept[0]() is None
    finally:
        gc.enable()
        queue.close()
