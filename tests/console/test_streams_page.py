"""The page of streams, of a program that runs."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from tests.support.commands import ONLOOKER, environment
from tests.support.console import Visitor, serving
from tests.support.processes import descendants, wait_until

CONFIG = """
[console]
listen = "127.0.0.1:0"
[faces]
enabled = false
[text]
enabled = false
[log]
path = "records.db"
[streams.door]
url = "test://moving?size=64x36&fps=10"
policy = "live"
[streams.gone]
url = "rtsp://user:secret@127.0.0.1:9/path?token=secret"
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """The console's URL, and the process, of `onlooker run` with two streams."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "onlooker.toml").write_text(CONFIG)
    out = folder / "out.txt"
    with (
        out.open("w") as said,
        subprocess.Popen(
            [*ONLOOKER, "run"],
            cwd=folder,
            env=environment(folder / "data"),
            stdout=said,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            assert wait_until(lambda: "console  http" in out.read_text(), 60), out.read_text()
            [line] = [each for each in out.read_text().splitlines() if "console  " in each]
            url = line.removeprefix("console  ")

            def analysed() -> bool:
                history = json.loads(Visitor(url).get("/streams/history").text)
                return bool(history.get("door", [[]])[0])

            assert wait_until(analysed, 60), out.read_text()
            yield url, process.pid
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0, out.read_text()
        finally:
            process.kill()


def numbers(text: str) -> list[int]:
    return [int(each) for each in text.replace("\u202f", "").split() if each.isdigit()]


def test_received_is_the_sum_of_all_fates(program: tuple[str, int], page: Page) -> None:
    page.goto(f"{program[0]}/streams")
    card = page.locator("#stream-door")
    expect(card.locator(".health")).to_have_text("well")
    for _ in range(3):
        received, *fates = numbers(card.locator(".counts").inner_text())
        assert received == sum(fates)
        page.wait_for_timeout(700)


def test_the_page_follows_the_program(program: tuple[str, int], page: Page) -> None:
    page.goto(f"{program[0]}/streams")
    first = page.locator("#stream-door dd").first
    before = first.inner_text()
    expect(first).not_to_have_text(before)


def test_what_is_open_stays_open(program: tuple[str, int], page: Page) -> None:
    page.goto(f"{program[0]}/streams")
    page.get_by_text("processes").click()
    for _ in range(2):
        page.wait_for_timeout(1200)
        expect(page.get_by_role("cell", name="hub", exact=True)).to_be_visible()


def test_a_camera_that_is_gone_is_told_in_words_and_without_its_password(
    program: tuple[str, int],
) -> None:
    url, _ = program
    text = ""

    def told() -> bool:
        nonlocal text
        text = Visitor(url).get("/streams/table").text
        return "refused" in text

    assert wait_until(told, 30), text
    assert "rtsp://127.0.0.1:9" in text
    assert "secret" not in text


def test_the_page_comes_back_after_its_process_was_killed(
    program: tuple[str, int], page: Page
) -> None:
    url, parent = program
    page.goto(f"{url}/streams")
    expect(page.locator("#stream-door")).to_be_visible()
    [(_, process)] = [item for item in descendants(parent).items() if item[0].startswith("console")]
    os.kill(process, signal.SIGKILL)
    expect(page.locator("#connection")).to_have_text("not connected")
    expect(page.locator("#connection")).to_have_text("", timeout=20_000)
    before = page.locator("#stream-door dd").first.inner_text()
    expect(page.locator("#stream-door dd").first).not_to_have_text(before)


def test_without_streams_the_page_says_what_to_do(tmp_path: Path) -> None:
    with serving(tmp_path) as url:
        assert "No stream yet" in Visitor(url).get("/streams").text
