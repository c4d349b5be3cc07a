import gc
import threading
import weakref

import pytest

from onlooker.identity.search.index_cache import IndexCache


class Fake:
    """An index of this many bytes."""

    def __init__(self, nbytes: int = 1) -> None:
        self.nbytes = nbytes
        self.closed_after: list[float] = []

    def __len__(self) -> int:
        return 0  # an empty index is an index

    def close(self, finish_seconds: float = 0.0) -> None:
        self.closed_after.append(finish_seconds)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Factory:
    def __init__(self, nbytes: int = 1) -> None:
        self.nbytes = nbytes
        self.built: list[str] = []
        self.indexes: list[weakref.ref[Fake]] = []

    def __call__(self, key: str) -> Fake:
        self.built.append(key)
        index = Fake(self.nbytes)
        self.indexes.append(weakref.ref(index))
        return index

    def alive(self) -> int:
        gc.collect()
        return sum(index() is not None for index in self.indexes)


def test_each_is_built_once() -> None:
    build = Factory()
    cache = IndexCache(build)
    first = cache.get("a")
    assert cache.get("a") is first
    assert cache.get("b") is not first
    assert build.built == ["a", "b"]


def test_one_that_is_dropped_while_it_is_built_is_closed() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def build(key: str) -> Fake:
        begun.set()
        assert go_on.wait(30)
        return Fake()

    cache = IndexCache(build)
    got: list[Fake] = []
    thread = threading.Thread(target=lambda: got.append(cache.get("a")))
    thread.start()
    assert begun.wait(30)
    cache.close()
    go_on.set()
    thread.join(30)
    assert [index.closed_after for index in got] == [[0.0]]


def test_while_one_is_built_others_are_searched() -> None:
    """Ten threads that want a slow one wait for one build; one that wants another does not."""
    begun, go_on = threading.Event(), threading.Event()
    slow: list[str] = []

    def build(key: str) -> Fake:
        if key == "slow":
            slow.append(key)
            begun.set()
            assert go_on.wait(30)
        return Fake()

    cache = IndexCache(build)
    got: list[Fake] = []
    threads = [threading.Thread(target=lambda: got.append(cache.get("slow"))) for _ in range(10)]
    for thread in threads:
        thread.start()
    assert begun.wait(30)
    for number in range(20):
        cache.get(f"fast{number}")
    assert got == []
    go_on.set()
    for thread in threads:
        thread.join(30)
    assert len(got) == 10
    assert len(set(map(id, got))) == 1
    assert slow == ["slow"]


def test_one_that_cannot_be_built_is_tried_again() -> None:
    answers: list[Exception | Fake] = [ValueError("not now"), Fake()]

    def build(key: str) -> Fake:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    cache = IndexCache(build)
    with pytest.raises(ValueError, match="not now"):
        cache.get("a")
    assert len(cache) == 0
    assert cache.get("a").nbytes == 1


def test_idle_ones_are_dropped() -> None:
    build, clock = Factory(), Clock()
    cache = IndexCache(build, idle_seconds=60, clock=clock)
    idle, used = cache.get("idle"), cache.get("used")
    for clock.now in range(0, 61, 10):
        assert cache.get("used") is used
    assert len(cache) == 1
    assert (idle.closed_after, used.closed_after) == ([0.0], [])
    assert cache.get("idle") is not idle
    assert build.built == ["idle", "used", "idle"]


def test_memory_is_bounded() -> None:
    """A thousand tenants, each searched once."""
    build, clock = Factory(nbytes=100), Clock()
    cache = IndexCache(build, max_bytes=1000, clock=clock)
    for clock.now in range(1000):
        cache.get(f"tenant{clock.now}")
        assert len(cache) <= 12
    assert build.alive() <= 12
    kept = build.built[-10:]
    for key in kept:
        cache.get(key)
    assert len(build.built) == 1000  # the most recently used ones were kept


def test_the_one_in_use_is_kept_however_large_it_is() -> None:
    build, clock = Factory(nbytes=5000), Clock()
    cache = IndexCache(build, max_bytes=1000, clock=clock)
    for clock.now in range(10):
        cache.get("large")
    assert build.built == ["large"]


def test_dropping() -> None:
    build = Factory()
    cache = IndexCache(build)
    first = cache.get("a")
    cache.drop("a")
    cache.drop("never there")
    assert first.closed_after == [0.0]
    assert cache.get("a") is not first


def test_closing_gives_all_of_them_one_time() -> None:
    clock = Clock()

    class Slow(Fake):
        def close(self, finish_seconds: float = 0.0) -> None:
            super().close(finish_seconds)
            clock.now += 4

    indexes: list[Slow] = []

    def build(key: str) -> Slow:
        indexes.append(Slow())
        return indexes[-1]

    cache = IndexCache(build, clock=clock)
    for key in "abc":
        cache.get(key)
    cache.close(6)
    assert [index.closed_after for index in indexes] == [[6.0], [2.0], [0.0]]
    assert len(cache) == 0
