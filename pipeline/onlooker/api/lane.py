"""Threads for one kind of work, and in front of them a queue that has an end."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from onlooker.api.errors import failed, throttled

Result = TypeVar("Result")


class Lane:
    """Runs functions in threads, for one event loop. `tell` hears how many there are."""

    def __init__(
        self, name: str, threads: int, queue: int, tell: Callable[[int], None] = lambda _: None
    ) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._threads = threads
        self._room = threads + queue
        # Functions that wait or run, those that nobody waits for any more included.
        self._pending = 0
        self._tell = tell

    def check(self) -> None:
        """Refusal where one more would have to wait too long."""
        if self._pending >= self._room:
            raise throttled(
                f"{self._threads} requests are worked on and {self._room - self._threads} wait; "
                "try again in a moment."
            )

    async def run(self, work: Callable[[], Result], patience: float) -> Result:
        """What `work` returns or raises; Refusal after `patience` seconds, or where all is full."""
        self.check()
        loop = asyncio.get_running_loop()
        self._count(1)
        future = self._pool.submit(work)
        future.add_done_callback(lambda _: _later(loop, self._count, -1))
        try:
            async with asyncio.timeout(patience):
                return await asyncio.shield(asyncio.wrap_future(future))
        except TimeoutError:
            if future.cancel():
                raise throttled(f"Nobody had time for it for {patience:g} s.") from None
            # It runs to its end: there is no way to stop it.
            raise failed(f"It takes more than {patience:g} s.") from None

    def _count(self, step: int) -> None:
        self._pending += step
        self._tell(self._pending)

    def close(self) -> None:
        """Wait for what runs; what waits is not begun."""
        self._pool.shutdown(cancel_futures=True)


def _later(loop: asyncio.AbstractEventLoop, what: Callable[[int], None], step: int) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(what, step)
