"""Who loses a connection when there are too many."""

import pytest

from onlooker.api.connection_limits import LimitedConnection


def connections(*hosts: str) -> list[LimitedConnection]:
    made = [LimitedConnection.__new__(LimitedConnection) for _ in hosts]
    for one, host in zip(made, hosts, strict=True):
        one.client = (host, 1)
        one.connections = set(made)
    return made


def test_the_address_that_has_most_loses_one(monkeypatch: pytest.MonkeyPatch) -> None:
    few, *many = connections("10.0.0.1", "10.0.0.2", "10.0.0.2", "10.0.0.2")
    monkeypatch.setattr(
        LimitedConnection, "awaiting_headers", {few: None, many[1]: None, many[2]: None}
    )
    assert few._one_to_close() is many[1]
    # All of its requests are under way: even so it is not the other's turn.
    monkeypatch.setattr(LimitedConnection, "awaiting_headers", {few: None})
    assert few._one_to_close() in many
