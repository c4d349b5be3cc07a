"""A worker's batches: gathered while others run, and run side by side."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

Job = TypeVar("Job")
Answer = TypeVar("Answer")


class BatchRunner(Generic[Job, Answer]):
    """Runs batches of jobs in threads, as many at once as `at_once`.

    A batch is begun when it is full, or when no other runs: so a lone job does not wait, and jobs
    that come faster than they are done gather in batches. Used from one thread.
    """

    def __init__(
        self, run: Callable[[Sequence[Job]], Sequence[Answer]], size: int, at_once: int
    ) -> None:
        self._run = run
        self._size = size
        self._at_once = at_once
        self._waiting: deque[Job] = deque()
        self._running: set[Future[Sequence[Answer]]] = set()
        self._pool = ThreadPoolExecutor(at_once, thread_name_prefix="batch")

    @property
    def busy(self) -> bool:
        """Whether a batch runs."""
        return bool(self._running)

    def add(self, job: Job) -> None:
        """Let a job wait for its batch."""
        self._waiting.append(job)

    def step(self) -> Iterator[Answer]:
        """Yield the answers that are there; begin what can be begun. Raises what `run` raises."""
        done = {each for each in self._running if each.done()}
        self._running -= done
        self._begin()
        for each in done:
            yield from each.result()

    def close(self) -> None:
        """Wait for the batches that run; their answers are lost."""
        self._waiting.clear()
        self._pool.shutdown()

    def _begin(self) -> None:
        while self._waiting and len(self._running) < self._at_once:
            if self._running and len(self._waiting) < self._size:
                break
            count = min(self._size, len(self._waiting))
            jobs = [self._waiting.popleft() for _ in range(count)]
            self._running.add(self._pool.submit(self._run, jobs))
