"""Attempts to sign in are counted by address: nobody can guess, and nobody can keep others out."""

import http.client
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.console import KEYS, serving

from onlooker.config.schema import Config
from onlooker.config.section import ConfigError
from onlooker.config.serving import Console
from onlooker.console import sign_in_attempts, sign_in_page
from onlooker.console.sign_in_attempts import MAX_FAILURES, Attempts


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sign_in_page, "WRONG_SECONDS", 0.0)


def attempt(url: str, source: str, id: str, secret: str, **headers: str) -> int:
    """Try to sign in from an address of this machine; return the status."""
    connection = http.client.HTTPConnection(
        urlsplit(url).netloc, timeout=30, source_address=(source, 0)
    )
    form = {"Content-Type": "application/x-www-form-urlencoded", **headers}
    connection.request("POST", "/sign-in", urlencode({"id": id, "secret": secret}), form)
    status = connection.getresponse().status
    connection.close()
    return status


ADA = ("ADMIN", KEYS["ADMIN"].secret)


def test_guessing_ends_and_keeps_nobody_else_out(tmp_path: Path) -> None:
    with serving(tmp_path, KEYS) as url:
        tried = [attempt(url, "127.0.0.2", "ADMIN", "wrong") for _ in range(MAX_FAILURES + 5)]
        assert tried == [403] * MAX_FAILURES + [429] * 5
        assert attempt(url, "127.0.0.2", *ADA) == 429, "not even the right one"
        assert attempt(url, "127.0.0.3", *ADA) == 303


def test_an_attempt_whose_form_does_not_come_counts_for_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(tmp_path, KEYS) as url:
        for _ in range(MAX_FAILURES + 5):
            connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
            connection.putrequest("POST", "/sign-in")
            connection.putheader("Content-Type", "application/x-www-form-urlencoded")
            connection.putheader("Content-Length", "1000")
            connection.endheaders(b"id=ADMIN")
            connection.close()
        assert attempt(url, "127.0.0.1", *ADA) == 303
    assert "broken" not in caplog.text


def test_a_header_is_believed_of_a_configured_proxy_alone(tmp_path: Path) -> None:
    config = Config(console=Console(proxies=("127.0.0.2",)))
    with serving(tmp_path, KEYS, config) as url:
        for number in range(MAX_FAILURES):
            forged = {"X-Forwarded-For": f"192.0.2.{number}"}
            assert attempt(url, "127.0.0.3", "ADMIN", "wrong", **forged) == 403
        assert attempt(url, "127.0.0.3", *ADA, **{"X-Forwarded-For": "192.0.2.99"}) == 429
        for number in range(MAX_FAILURES):  # what the client has sent stands before its address
            forged = {"X-Forwarded-For": f"192.0.2.{number}, 198.51.100.7"}
            assert attempt(url, "127.0.0.2", "ADMIN", "wrong", **forged) == 403
        assert attempt(url, "127.0.0.2", *ADA, **{"X-Forwarded-For": "198.51.100.7"}) == 429
        assert attempt(url, "127.0.0.2", *ADA, **{"X-Forwarded-For": "198.51.100.8"}) == 303


@pytest.mark.parametrize("proxy", ["proxy.example", "10.0.0.0/33", "10.0.0.1/24", "*", ""])
def test_a_proxy_is_an_address(proxy: str) -> None:
    with pytest.raises(ConfigError, match=r"proxies: .* is not an address or a network"):
        Console(proxies=(proxy,))


def test_failures_are_forgotten_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    attempts = Attempts()
    for _ in range(MAX_FAILURES):
        attempts.failed("192.0.2.1")
    assert attempts.blocked("192.0.2.1")
    monkeypatch.setattr(sign_in_attempts, "FAILURE_SECONDS", 0.0)
    assert not attempts.blocked("192.0.2.1")


def test_the_table_does_not_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sign_in_attempts, "MAX_ADDRESSES", 3)
    attempts = Attempts()
    for number in range(10):
        for _ in range(MAX_FAILURES):
            attempts.failed(f"192.0.2.{number}")
    assert [n for n in range(10) if attempts.blocked(f"192.0.2.{n}")] == [7, 8, 9]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("192.0.2.1", "192.0.2.2", False),
        ("unknown", "_hidden", True),
        ("fe80::1%eth0", "fe80::2%eth0", True),
    ],
)
def test_a_client_is_an_ipv4_address_or_an_ipv6_network(one: str, other: str, same: bool) -> None:
    attempts = Attempts()
    for _ in range(MAX_FAILURES):
        attempts.failed(one)
    assert attempts.blocked(one)
    assert attempts.blocked(other) == same


@given(st.text(max_size=60) | st.ip_addresses().map(str))
def test_no_address_is_an_error(address: str) -> None:
    attempts = Attempts()
    attempts.failed(address)
    assert not attempts.blocked(address)
