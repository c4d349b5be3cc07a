"""A browser for the tests of the console's pages."""

import shutil
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect, sync_playwright
from tests.support.console import LEAVE

CHROMIUM = shutil.which("chromium")
MAX_WAIT_MS = 60_000
"""For anything to happen in the browser: only a machine's speed decides how long that takes."""
EXPECTED = (
    "the server responded with a status of 4",
    "Response Status Error Code 4",
)
"""Errors that the browser reports of changes that the server refuses, as tests want."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, of one module: while it runs, no other test could have an event loop."""
    if CHROMIUM is None:
        pytest.skip("there is no chromium here; Debian: apt install chromium")
    expect.set_options(timeout=MAX_WAIT_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser
        browser.close()


@pytest.fixture
def expected() -> list[str]:
    """Parts of the errors that a test expects of its page: it adds its own."""
    return [*EXPECTED]


@pytest.fixture
def page(browser: Browser, expected: list[str]) -> Iterator[Page]:
    """A page that fails the test on any error of its own and on a request to another host."""
    context = browser.new_context(
        viewport={"width": 1200, "height": 800}, timezone_id="Europe/Berlin", locale="en-GB"
    )
    page = context.new_page()
    faults: list[str] = []

    def message(said: ConsoleMessage) -> None:
        if said.type == "error" and not any(each in said.text for each in expected):
            faults.append(said.text)

    def request(sent: Request) -> None:
        if urlsplit(sent.url).hostname not in ("127.0.0.1", "localhost", None):
            faults.append(f"a request to {sent.url}")

    page.on("console", message)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", request)
    page.set_default_timeout(MAX_WAIT_MS)

    def leave() -> None:
        page.goto("about:blank")

    LEAVE.append(leave)
    yield page
    LEAVE.remove(leave)
    context.close()
    assert faults == []
