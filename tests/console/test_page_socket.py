"""The socket of a page: it ends with its session, and the page says so."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from tests.support.console import KEYS, Visitor, serving
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from onlooker.config.schema import Config
from onlooker.config.serving import Console
from onlooker.console import page_socket
from onlooker.console.guard import CLOSE_UNAUTHORISED

ENDS_SECONDS = 10.0


def opened(url: str, visitor: Visitor | None = None, **headers: str) -> ClientConnection:
    cookies = {} if visitor is None else visitor.cookies
    cookie = "; ".join(f"{name}={value}" for name, value in cookies.items())
    return connect(
        f"{url.replace('http', 'ws')}/socket", additional_headers={"Cookie": cookie, **headers}
    )


def refused(url: str, visitor: Visitor | None = None) -> int | None:
    """Return the code with which the server closes a new socket."""
    with opened(url, visitor) as socket:
        return code_of(socket)


def code_of(socket: ClientConnection) -> int | None:
    """Wait until the server closes a socket; return its code."""
    with pytest.raises(ConnectionClosed):
        socket.recv(ENDS_SECONDS)
    return socket.close_code


def signed_in(url: str, id: str = "ADMIN") -> Visitor:
    visitor = Visitor(url)
    visitor.sign_in(id)
    return visitor


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("locked"), KEYS) as url:
        yield url


def test_a_socket_without_a_session_is_told_that_it_has_none(locked: str) -> None:
    assert refused(locked) == CLOSE_UNAUTHORISED
    assert refused(locked, signed_in(locked, "ROBOT")) == CLOSE_UNAUTHORISED


@pytest.mark.parametrize("origin", ["http://evil.example", "null"])
def test_another_web_page_gets_no_socket_at_all(locked: str, origin: str) -> None:
    for visitor in (None, signed_in(locked)):
        with pytest.raises(InvalidStatus), opened(locked, visitor, Origin=origin):
            pass


def test_an_error_of_our_own_is_no_nonsense_of_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged."""

    def broken(page: page_socket.Page) -> None:
        raise KeyError("ours")

    monkeypatch.setattr(page_socket.Page, "_watch", broken)
    with serving(tmp_path) as url:
        visitor = Visitor(url)
        visitor.get("/live")
        with opened(url, visitor) as socket:
            socket.send("{}")
            code_of(socket)
    causes = [record.exc_info[1] for record in caplog.records if record.exc_info]
    assert "KeyError('ours')" in map(repr, causes)


def test_a_socket_ends_when_its_session_is_over(tmp_path: Path) -> None:
    seconds = 3.0
    config = Config(console=Console(session_hours=seconds / 3600))
    with serving(tmp_path, KEYS, config) as url:
        began = time.time()
        visitor = signed_in(url)
        assert refused(url, visitor) == CLOSE_UNAUTHORISED
        assert time.time() - began > seconds - 1, "not at once"
        assert visitor.get("/live").status == 401


def test_a_socket_ends_when_somebody_signs_out_and_the_cookie_is_of_no_use_then(
    locked: str,
) -> None:
    visitor, other = signed_in(locked), signed_in(locked)
    stolen = {**visitor.cookies}
    with opened(locked, visitor) as socket, opened(locked, other) as own:
        visitor.post("/sign-out")
        assert code_of(socket) == CLOSE_UNAUTHORISED
        with pytest.raises(TimeoutError):
            own.recv(1)
    visitor.cookies = stolen
    assert visitor.get("/live").status == 401
    assert refused(locked, visitor) == CLOSE_UNAUTHORISED


def test_a_socket_ends_when_its_key_has_gone(tmp_path: Path) -> None:
    keys = {**KEYS}
    with serving(tmp_path, keys) as url, opened(url, signed_in(url, "VIEWER")) as socket:
        del keys["VIEWER"]
        assert code_of(socket) == CLOSE_UNAUTHORISED


def test_a_page_says_that_its_session_has_ended_and_leads_to_sign_in(
    locked: str, page: Page
) -> None:
    sockets: list[str] = []
    page.on("websocket", lambda socket: sockets.append(socket.url))
    page.goto(f"{locked}/sign-in")
    page.get_by_label("Id").fill("ADMIN")
    page.get_by_label("Secret").fill(KEYS["ADMIN"].secret)
    page.keyboard.press("Enter")
    page.wait_for_url("**/live")
    other = page.context.new_page()
    other.goto(f"{locked}/streams")
    other.get_by_role("button", name="Sign out").click()
    other.wait_for_url("**/sign-in")
    expect(page.get_by_role("alert").get_by_text("Your session has ended")).to_be_visible()
    opened_before = len(sockets)
    page.wait_for_timeout(2500)
    assert len(sockets) == opened_before, "it does not try for ever"
    expect(page.get_by_role("link", name="Sign in again")).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url("**/sign-in?ended")
    expect(page.get_by_role("status").get_by_text("Your session has ended")).to_be_visible()


def test_a_page_without_keys_is_loaded_again_by_hand_and_not_for_ever(
    tmp_path: Path, page: Page
) -> None:
    with serving(tmp_path) as url:
        page.goto(f"{url}/live")
        page.context.clear_cookies()
        loads: list[str] = []
        page.on("load", lambda loaded: loads.append(loaded.url))
        page.evaluate("import('/static/console.js').then((module) => module.connect())")
        expect(page.get_by_role("alert").get_by_text("This page is out of date")).to_be_visible()
        assert loads == []
        with page.expect_event("load"):
            page.get_by_role("link", name="Load it again").click()
        expect(page.locator("#over")).to_be_hidden()
