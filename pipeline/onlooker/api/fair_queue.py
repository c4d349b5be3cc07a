"""A bounded queue in front of a pool of threads, shared fairly by clients.

Clients share the threads and take turns, so that a client that sends much waits for itself and not
others for it. When the queue is full, the client that has most in it is told to slow down, not the
one that comes last.
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

SHARE_SECONDS = 5.0
"""Seconds for which a client keeps its share of the threads after its last request."""


@dataclass(slots=True, eq=False)
class _Job:
    client: str
    work: Callable[[], Any]
    done: asyncio.Future[Any]
    later: bool
    """Whether it is a later part of a request, which is not refused any more."""
    begun: bool = False


class FairQueue:
    """Runs functions in threads, for one event loop.

    threads: functions that run at once. waiting: functions that may wait, of all clients together.
    `on_change` is called with the number of functions that wait or run, whenever it changes.
    The empty client name is the server's own work, which is exempt from fair sharing.
    """

    def __init__(
        self,
        name: str,
        threads: int,
        waiting: int,
        on_change: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._threads = threads
        self._max_waiting = waiting
        self._on_change = on_change
        self._running: Counter[str] = Counter()
        """By client; includes functions whose client has given up."""
        self._waiting: dict[str, deque[_Job]] = {}
        """By client, the client whose turn is next first."""
        self._last_request: dict[str, float] = {}
        """Time of each client's last request, the latest at the end."""

    @property
    def pending(self) -> int:
        """The number of functions that wait or run."""
        return self._running.total() + sum(map(len, self._waiting.values()))

    @property
    def _full(self) -> bool:
        return self.pending >= self._threads + self._max_waiting

    def check(self, client: str) -> None:
        """Raise Refusal if there is no room for one more function of `client`."""
        if not self._full:
            return
        own = len(self._waiting.get(client, ()))
        if not self._waiting or len(self._refusable(self._greediest())) <= own + 1:
            raise self._refusal()

    async def run(
        self,
        client: str,
        work: Callable[[], Result],
        seconds: float,
        began: float | None = None,
    ) -> Result:
        """Run `work` and return what it returns, or raise what it raises.

        Raises Refusal after `seconds`, or if the queue is full. `began` is for the later
        parts of a request whose first part had room: its time, by the loop's clock. They are not
        refused if the queue is full, and the seconds count from then.
        """
        loop = asyncio.get_running_loop()
        later = began is not None
        if began is None:
            began = loop.time()
            self.check(client)
            if self._full:
                greediest = self._greediest()
                newest = self._refusable(greediest)[-1]
                self._withdraw(greediest, newest)
                newest.done.set_exception(self._refusal())
        self._last_request.pop(client, None)
        if client:
            self._last_request[client] = loop.time()
        job = _Job(client, work, loop.create_future(), later)
        self._waiting.setdefault(client, deque()).append(job)
        self._begin()
        try:
            async with asyncio.timeout_at(began + seconds):
                result: Result = await asyncio.shield(job.done)
                return result
        except TimeoutError:
            if job.done.done():  # in the same moment
                return cast(Result, job.done.result())
            if job.begun:  # a thread cannot be stopped: it runs to its end
                raise failed(f"It takes more than {seconds:g} s.") from None
            self._withdraw(client, job)
            raise throttled(f"No thread was free for {seconds:g} s.") from None
        except asyncio.CancelledError:
            if not job.begun and not job.done.done():
                self._withdraw(client, job)
            raise
        finally:
            del job  # or an error and its traceback keep each other, and the request, in memory

    def _greediest(self) -> str:
        """Return the client that has most functions waiting that can be refused."""
        return max(self._waiting, key=lambda client: len(self._refusable(client)))

    def _refusable(self, client: str) -> list[_Job]:
        """Return a client's jobs that wait, oldest first, without later parts of requests."""
        return [job for job in self._waiting[client] if not job.later]

    def _refusal(self) -> Refusal:
        return throttled(
            f"{self._threads} requests are worked on and {self._max_waiting} wait; "
            "try again in a moment."
        )

    def _withdraw(self, client: str, job: _Job) -> None:
        """Take a client's job out of the queue."""
        jobs = self._waiting[client]
        jobs.remove(job)
        if not jobs:
            del self._waiting[client]
        self._on_change(self.pending)

    def _begin(self) -> None:
        """Give work to free threads: each client's oldest job in turn, up to the client's share."""
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
        self._on_change(self.pending)

    def _clients(self) -> int:
        """Return the number of clients that share the threads."""
        oldest = asyncio.get_running_loop().time() - SHARE_SECONDS
        while self._last_request and next(iter(self._last_request.values())) < oldest:
            del self._last_request[next(iter(self._last_request))]
        return len(self._last_request.keys() | self._running.keys() | self._waiting.keys())

    def _ended(self, job: _Job, future: Future[Any]) -> None:
        self._running[job.client] -= 1
        self._running += Counter()  # drops clients with none
        if not job.done.cancelled():
            error = future.exception()
            if error is None:
                job.done.set_result(future.result())
            else:
                job.done.set_exception(error)
                job.done.exception()  # perhaps nobody waits for it any more
        self._begin()

    def probe(self) -> "Future[None]":
        """Have a thread run nothing, before all that waits: the result comes once one is free."""
        return self._pool.submit(lambda: None)

    def close(self) -> None:
        """Wait for the calls that run; those that wait are never begun."""
        self._pool.shutdown(cancel_futures=True)


def _later(
    loop: asyncio.AbstractEventLoop,
    ended: Callable[[_Job, Future[Any]], None],
    job: _Job,
    future: Future[Any],
) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(ended, job, future)
