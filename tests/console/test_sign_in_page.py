"""Signing in."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page
from tests.support.console import KEYS, Visitor, serving


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("console"), KEYS) as url:
        yield url


def test_a_wrong_secret_is_told_without_saying_which_keys_there_are(url: str) -> None:
    texts = set()
    for id in ("ADMIN", "NOBODY", "<script>alert(1)</script>"):
        answer = Visitor(url).post("/sign-in", {"id": id, "secret": "wrong"})
        assert answer.status == 403
        texts.add(answer.text)
    assert len(texts) == 1


def test_somebody_signs_in_and_out_in_a_browser(url: str, page: Page) -> None:
    page.goto(url)
    page.wait_for_url("**/sign-in")
    page.get_by_label("Id").fill("ADMIN")
    page.get_by_label("Secret").fill("wrong")
    page.keyboard.press("Enter")
    assert "No key has this id" in page.get_by_role("alert").first.inner_text()
    page.get_by_label("Id").fill("ADMIN")
    page.get_by_label("Secret").fill(KEYS["ADMIN"].secret)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/live")
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/sign-in")
    page.goto(f"{url}/streams")
    page.wait_for_url("**/sign-in")
