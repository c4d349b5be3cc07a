"""Changes that are made once for each ClientRequestToken."""

import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest

from onlooker import idempotency
from onlooker.idempotency import RequestMismatch, once


@pytest.fixture
def database() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:")
    connection.execute(
        "CREATE TABLE requests (operation, token, digest, made, answer, "
        "PRIMARY KEY (operation, token))"
    )
    yield connection
    connection.close()


@pytest.fixture
def make(database: sqlite3.Connection) -> Any:
    """Make a change, whose answer is the number of changes that were made so far."""
    made: list[None] = []

    def change() -> int:
        made.append(None)
        return len(made)

    def run(token: str | None, parameters: tuple[object, ...], operation: str = "Start") -> int:
        return once(database, operation, token, parameters, change, int)

    return run


def test_the_same_request_changes_nothing_and_has_the_first_answer(make: Any) -> None:
    assert [make("a", ("x", 1)) for _ in range(3)] == [1, 1, 1]
    assert make("b", ("x", 1)) == 2
    assert make("a", ("x", 1), operation="Stop") == 3


def test_without_a_token_each_request_is_another(make: Any) -> None:
    assert [make(None, ("x",)), make(None, ("x",))] == [1, 2]


def test_a_token_with_other_parameters_is_refused(make: Any) -> None:
    make("a", ("x",))
    with pytest.raises(RequestMismatch, match="ClientRequestToken: a you have supplied"):
        make("a", ("y",))


def test_a_token_is_forgotten_after_a_while(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert make("a", ("x",)) == 1
    monkeypatch.setattr(idempotency, "TOKEN_SECONDS", -1.0)
    assert make("a", ("y",)) == 2
