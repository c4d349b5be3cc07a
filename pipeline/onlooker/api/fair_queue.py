"""Threads for one kind of work, and in front of them a queue that has an end.

Clients share the threads and take turns, so that one who sends much waits for itself and not others
for it; and where the queue is full, whoever has most in it is told to slow down, not who comes
last.
"""

import asyncio
import math
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar, cast

from onlooker.api.errors import Refusal, failed, throttled

Result = TypeVar("Result")

REMEMBERED = 5.0
"""Seconds that a client who asks for nothing still has its share of the threads."""


@dataclass(slots=True, eq=False)
class _Job:
    client: str
    work: Callable[[], Any]
    done: asyncio.Future[Any]
    begun: bool = False


class FairQueue:
    """Runs functions in threads, for one event loop. `tell` hears how many there are.

    threads: functions that run at once. queue: those that may wait, of all clients.
    """

    def __init__(
        self, name: str, threads: int, queue: int, tell: Callable[[int], None] = lambda _: None
    ) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._threads = threads
        self._queue = queue
        self._tell = tell
        self._running: Counter[str] = Counter()
        """By client; those that nobody waits for any more included."""
        self._waiting: dict[str, deque[_Job]] = {}
        """By client, the one whose turn is next first."""
        self._seen: dict[str, float] = {}
        """When each client came last, who came last at the end."""

    @property
    def pending(self) -> int:
        """Functions that wait or run."""
        return self._running.total() + sum(map(len, self._waiting.values()))

    def check(self, client: str) -> None:
        """Refusal where one more of `client` would have to wait too long."""
        if self.pending < self._threads + self._queue:
            return
        mine = len(self._waiting.get(client, ()))
        if not self._waiting or len(self._waiting[self._greediest()]) <= mine + 1:
            raise self._full()

    async def run(self, client: str, work: Callable[[], Result], patience: float) -> Result:
        """What `work` returns or raises; Refusal after `patience` seconds, or where all is full.

        The server itself is the client without a name, which has no share.
        """
        self.check(client)
        if self.pending >= self._threads + self._queue:
            self._withdraw(self._greediest()).done.set_exception(self._full())
        loop = asyncio.get_running_loop()
        self._seen.pop(client, None)
        if client:
            self._seen[client] = loop.time()
        job = _Job(client, work, loop.create_future())
        self._waiting.setdefault(client, deque()).append(job)
        self._begin()
        try:
            async with asyncio.timeout(patience):
                result: Result = await asyncio.shield(job.done)
                return result
        except TimeoutError:
            if job.done.done():  # in the same moment
                return cast(Result, job.done.result())
            if job.begun:  # it runs to its end: there is no way to stop it
                raise failed(f"It takes more than {patience:g} s.") from None
            self._withdraw(client, job)
            raise throttled(f"Nobody had time for it for {patience:g} s.") from None
        finally:
            del job  # or an error and its traceback keep each other, and the request, in memory

    def _greediest(self) -> str:
        return max(self._waiting, key=lambda client: len(self._waiting[client]))

    def _full(self) -> Refusal:
        return throttled(
            f"{self._threads} requests are worked on and {self._queue} wait; try again in a moment."
        )

    def _withdraw(self, client: str, job: _Job | None = None) -> _Job:
        """Take a job of `client` out of the queue, its newest one unless told which."""
        jobs = self._waiting[client]
        job = job or jobs[-1]
        jobs.remove(job)
        if not jobs:
            del self._waiting[client]
        self._tell(self.pending)
        return job

    def _begin(self) -> None:
        """Give free threads work, each client's oldest in turn, as far as its share goes."""
        while self._running.total() < self._threads:
            share = math.ceil(self._threads / max(1, self._clients()))
            within = (client for client in self._waiting if self._running[client] < share)
            client = next(within, None)
            if client is None:
                break
            jobs = self._waiting.pop(client)
            job = jobs.popleft()
            if jobs:
                self._waiting[client] = jobs
            job.begun = True
            self._running[client] += 1
            future = self._pool.submit(job.work)
            future.add_done_callback(partial(_later, job.done.get_loop(), self._ended, job))
        self._tell(self.pending)

    def _clients(self) -> int:
        """Those that were here of late, who have the threads between them."""
        now = asyncio.get_running_loop().time()
        while self._seen and now - next(iter(self._seen.values())) > REMEMBERED:
            del self._seen[next(iter(self._seen))]
        return len(self._seen.keys() | self._running.keys() | self._waiting.keys())

    def _ended(self, job: _Job, future: Future[Any]) -> None:
        self._running[job.client] -= 1
        self._running += Counter()  # without those that have none
        if not job.done.cancelled():
            error = future.exception()
            if error is None:
                job.done.set_result(future.result())
            else:
                job.done.set_exception(error)
                job.done.exception()  # perhaps nobody waits for it any more
        self._begin()

    def close(self) -> None:
        """Wait for what runs; what waits is not begun."""
        self._pool.shutdown(cancel_futures=True)


def _later(
    loop: asyncio.AbstractEventLoop,
    what: Callable[[_Job, Future[Any]], None],
    job: _Job,
    future: Future[Any],
) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(what, job, future)
