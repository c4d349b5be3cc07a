"""Writes of several threads that share a transaction, in any database.

While one thread waits for the disk, the others queue up; the next one that gets the lock carries
out all of their changes in one transaction. So the disk is waited for once for all of them, and no
thread delays its change in the hope of company.
"""

import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from onlooker.identity.errors import StoreError
from onlooker.sql import Connection

T = TypeVar("T")
C = TypeVar("C", bound=Connection)

MAX_SHARED_WRITES = 256
"""Writes that share a commit."""


class Write(Generic[C, T]):
    """A change that a thread asked for, and its outcome."""

    def __init__(self, change: Callable[[C], T]) -> None:
        self.change = change
        self.done = False
        self.result: T
        self.error: Exception | None = None


class SharedCommits(ABC, Generic[C]):
    """The writing half of a database. `_writer` is its connection that writes."""

    _failures: type[Exception]
    """What the database's client raises."""
    _writer: C

    def __init__(self) -> None:
        self._turn = threading.Lock()  # its holder uses the connection that writes, and the queue
        self._queue: deque[Write[C, Any]] = deque()

    def write(self, change: Callable[[C], T]) -> T:
        """Carry out a change, wholly or not at all, and return when it is on the disk.

        `change` may be called again after its effects were undone, and by another thread that
        writes at the same time.
        """
        self._check_open()
        wanted = Write(change)
        self._queue.append(wanted)
        with self._turn:
            try:
                while not wanted.done:
                    self._commit(self._waiting())
                self._remove_finished()  # their images need no room any more
            except BaseException:
                # This thread is interrupted, by Ctrl-C or SIGTERM. Changes of others that are not
                # committed stay in the queue, and their threads carry them out.
                wanted.done = True
                raise
        if wanted.error is not None:
            error, wanted.error = wanted.error, None
            try:
                raise error
            finally:
                del error  # or it and its traceback keep each other, and the images, in memory
        return wanted.result

    @abstractmethod
    def _check_open(self) -> None:
        """Raise StoreClosed if the database was closed."""

    @abstractmethod
    def _begin(self) -> None:
        """Begin a transaction that excludes other processes that write. Raises StoreError, too."""

    @abstractmethod
    def _end(self) -> None:
        """Commit it. Raises StoreError, too."""

    @abstractmethod
    def _undo(self) -> None:
        """Undo what is not committed. Raises nothing that the database's client raises."""

    @abstractmethod
    def _in_transaction(self) -> bool:
        """Return whether there is something to undo."""

    @abstractmethod
    def _may_be_due_to_one(self, error: Any) -> bool:
        """Return whether the changes may succeed one by one."""

    @abstractmethod
    def _explained(self, error: Any) -> StoreError:
        """Return the StoreError that says what an error means and what to do."""

    def _waiting(self) -> list[Write[C, Any]]:
        """Return the changes that are next, after finished ones are removed from the queue.

        The caller holds the turn. An interrupted thread's change, which is finished, may be behind
        others.
        """
        self._remove_finished()
        count = min(MAX_SHARED_WRITES, len(self._queue))
        return [write for write in map(self._queue.__getitem__, range(count)) if not write.done]

    def _remove_finished(self) -> None:
        while self._queue and self._queue[0].done:
            self._queue.popleft()

    def _commit(self, writes: list[Write[C, Any]]) -> None:
        """Carry out these changes and set their outcomes, except if interrupted."""
        try:
            self._transact(writes)
        except StoreError as error:
            for write in writes:
                write.error = type(error)(*error.args)
                write.error.__cause__ = error.__cause__
                write.done = True
        except self._failures as error:
            # A full disk or damage may be due to one of them: each is tried by itself. A lock of
            # another process is not, and each would wait for it again.
            if len(writes) > 1 and self._may_be_due_to_one(error):
                for write in writes:
                    self._commit([write])
            else:
                for write in writes:
                    write.error = self._explained(error)
                    write.error.__cause__ = error
                    write.done = True

    def _transact(self, writes: list[Write[C, Any]]) -> None:
        committing = False
        try:
            self._begin()
            for write in writes:
                self._carry_out(write, alone=len(writes) == 1)
            committing = True
            if self._in_transaction():
                self._end()
        except (self._failures, StoreError):
            self._undo()
            raise
        except BaseException:
            # An interruption may come just after the commit, which cannot be undone then.
            if committing and not self._in_transaction():
                for write in writes:
                    write.done = True
            self._undo()
            raise
        for write in writes:
            write.done = True

    def _carry_out(self, write: Write[C, Any], alone: bool) -> None:
        """Make a change. If it raises, only this one is undone."""
        write.error = None
        if not alone:
            self._writer.execute("SAVEPOINT one")
        try:
            write.result = write.change(self._writer)
        except self._failures:
            raise
        except Exception as error:  # raised again in the thread that asked for the change
            write.error = error
            self._writer.execute("ROLLBACK" if alone else "ROLLBACK TO one")
        if not alone:
            self._writer.execute("RELEASE one")
