"""The context that the operations of one process share."""

import threading
from typing import Any, cast

from tests.support.api import context

from onlooker.api.context import AnalyserPool
from onlooker.config.schema import Config, Record


def test_an_analyser_is_lent_to_one_thread_at_a_time() -> None:
    pool = AnalyserPool([cast(Any, "only")])
    order: list[str] = []

    def borrow() -> None:
        with pool.lend() as analyser:
            order.append(f"second has {analyser}")

    assert len(pool) == 1
    with pool.lend() as analyser:
        assert analyser == cast(Any, "only")
        thread = threading.Thread(target=borrow)
        thread.start()
        thread.join(0.05)
        order.append("first gives it back")
    thread.join(10)
    assert order == ["first gives it back", "second has only"]


def test_an_analyser_comes_back_after_an_error() -> None:
    pool = AnalyserPool([cast(Any, "only")])
    try:
        with pool.lend():
            raise ZeroDivisionError
    except ZeroDivisionError:
        pass
    with pool.lend() as analyser:
        assert analyser == cast(Any, "only")


def test_arns_have_the_configured_region_and_account() -> None:
    settings = Config(record=Record(region="eu-west-1", account="123456789012"))
    arn = context(settings=settings).arn("kinesis", "stream/door")
    assert arn == "arn:aws:kinesis:eu-west-1:123456789012:stream/door"
