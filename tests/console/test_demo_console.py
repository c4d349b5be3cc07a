"""The console of `onlooker demo --open`: its buttons work, and nothing of it is the user's own."""

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from tests.support.commands import environment
from tests.support.console import Visitor
from tests.support.processes import wait_until

from onlooker.config.serving import Console
from onlooker.stream.stream_table import StreamTable

SHOW = """
from pathlib import Path
from onlooker.cli import demo
from onlooker.config.schema import Config, Faces, Log, Text

folder = Path("demo")
settings = Config(faces=Faces(enabled=False), text=Text(enabled=False), log=Log(path="demo/r.db"))
with demo.own_folder(folder):
    demo.show("test://moving?frames=50&size=64x36", settings)
"""


@contextmanager
def shown(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the URL that the demo opens in the user's browser, and the file of what it prints."""
    browser, opened, out = folder / "browser", folder / "opened", folder / "out.txt"
    browser.write_text(f'#!/bin/sh\necho "$1" > {opened}\n')
    browser.chmod(0o755)
    with (
        out.open("w") as said,
        subprocess.Popen(
            [sys.executable, "-c", SHOW],
            cwd=folder,
            env={**environment(folder / "data"), "BROWSER": str(browser)},
            stdout=said,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            started = wait_until(lambda: opened.exists() and bool(opened.read_text().strip()), 120)
            assert started, out.read_text()
            yield opened.read_text().strip(), out
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0, out.read_text()
        finally:
            process.kill()


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    folder = tmp_path_factory.mktemp("shown")
    with shown(folder) as (url, _):
        yield url, folder
    assert not (folder / "data").exists(), "the user's own data folder"


def received(page: Page, stream: str) -> int:
    text = page.locator(f"#stream-{stream} .counts dd").first.inner_text()
    return int(re.sub(r"\D", "", text))


def test_the_video_is_played_again_and_again(demo: tuple[str, Path], page: Page) -> None:
    """Its 50 frames at 10 a second: after 21 it has begun again."""
    page.goto(f"{demo[0]}/streams")
    expect(page.locator("#stream-camera .health")).to_have_text("well")
    page.wait_for_function(
        "() => +document.querySelector('#stream-camera .counts dd').textContent > 30"
    )
    expect(page.locator("#stream-camera .health")).to_have_text("well")


def test_a_stream_that_was_paused_plays_on(demo: tuple[str, Path], page: Page) -> None:
    page.goto(f"{demo[0]}/streams")
    card = page.locator("#stream-camera")
    card.get_by_role("button", name="Pause").click()
    expect(card.locator(".health")).to_have_text("paused")
    expect(card.locator(".counts")).to_have_count(0)  # its process has ended
    card.get_by_role("button", name="Resume").click()
    expect(card.locator(".health")).to_have_text("well")
    before = received(page, "camera")
    expect(card.locator(".counts dd").first).not_to_have_text(str(before))


def test_a_camera_that_is_added_starts_and_is_the_demos_alone(
    demo: tuple[str, Path], page: Page
) -> None:
    url, folder = demo
    page.goto(f"{url}/streams")
    page.get_by_role("button", name="Add a camera").click()
    page.get_by_label("Name").fill("garden")
    page.get_by_label("Address").fill("test://moving?size=64x36")
    page.get_by_role("button", name="Test and save").click()
    expect(page.locator("#stream-garden .health")).to_have_text("well")
    expect(page.locator("#stream-garden .counts dd").first).not_to_have_text("0")
    with StreamTable(folder / "demo" / "streams.db") as table:
        assert list(table.added()) == ["garden"]


def test_a_port_that_is_taken_is_replaced_by_another(tmp_path: Path) -> None:
    usual = Console()
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind((usual.host, usual.port))
            taken.listen()
        except OSError:
            pass  # another program of this machine has it already
        with shown(tmp_path) as (url, out):
            assert not url.endswith(f":{usual.port}")
            assert f"port {usual.port} is taken" in out.read_text()
            assert wait_until(lambda: "camera" in Visitor(url).get("/live").text, 60)
