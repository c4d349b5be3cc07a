"""The console in a browser: its first page, long lists, and live streams.

Needs Chromium (Debian: apt install chromium). Prints

  * for each page the time until it is loaded, and the bytes that it takes;
  * for a list of 10,000 visits the images a second while it scrolls, and the longest gap;
  * for four cameras of 720p at 5 frames a second the delay from a frame's arrival to the screen,
    and the CPU time that the run takes for a frame while nobody looks and while one page shows all
    four, in turns. The CPU time does not depend on what else the machine does.

    python -m bench.bench_console [--turns 3] [--seconds 20] [--models] [--only live]
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from playwright.sync_api import Browser, sync_playwright
from tests.support.appearances import event, record
from tests.support.console import Visitor, serving

from onlooker.config.schema import KEEP_ALL
from onlooker.console.console_context import PAGES
from onlooker.record.log.writer import Writer

VISITS = 10_000
CAMERAS, FPS = 4, 5
TICKS = os.sysconf("SC_CLK_TCK")
CONFIG = """
[console]
listen = "127.0.0.1:0"
[log]
path = "records.db"
"""
NO_MODELS = "[faces]\nenabled = false\n[text]\nenabled = false\n"
CAMERA = '[streams.camera-{}]\nurl = "test://moving?size=1280x720&fps={}"\npolicy = "live"\n'
LOADED = """() => {
    const files = ["navigation", "resource"].flatMap((kind) => performance.getEntriesByType(kind));
    return [performance.getEntriesByType("navigation")[0].loadEventEnd,
            files.reduce((sum, file) => sum + file.transferSize, 0)];
}"""
SCROLL = """() => new Promise((done) => {
    const gaps = [], end = document.documentElement.scrollHeight;
    let before = performance.now();
    scrollTo(0, 0);
    function step(now) {
        gaps.push(now - before);
        before = now;
        scrollBy(0, 300);
        if (scrollY + innerHeight >= end - 5 || gaps.length >= 600) done(gaps.slice(2));
        else requestAnimationFrame(step);
    }
    requestAnimationFrame(step);
})"""
DELAYS = """() => [...document.querySelectorAll(".tile")].map(
    (tile) => [tile.dataset.index, Number(tile.dataset.delay)])"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--models", action="store_true", help="Analyse faces and text.")
    parser.add_argument("--only", choices=("pages", "live"))
    given = parser.parse_args()
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("there is no chromium here; Debian: apt install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
        )
        if given.only != "live":
            pages(browser)
        if given.only != "pages":
            live(browser, given.turns, given.seconds, given.models)
        browser.close()


def pages(browser: Browser) -> None:
    """Measure the pages over a log of 10,000 visits."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["ONLOOKER_DATA"] = name
        with Writer(folder / "records.db", KEEP_ALL) as log:
            for first in range(0, VISITS, 500):
                log.append(
                    [record(n, event(n, "end", 10.0 * n, 10.0 * n + 8, f"person-{n % 1000}"))
                     for n in range(first, first + 500)]
                )  # fmt: skip
        with serving(folder) as url:
            for path, title in PAGES:
                times = []
                for _ in range(5):
                    page = browser.new_page()
                    page.goto(f"{url}{path}", wait_until="load")
                    page.wait_for_timeout(300)
                    milliseconds, size = page.evaluate(LOADED)
                    times.append(milliseconds)
                    page.close()
                print(f"{title:12} {np.median(times):6.0f} ms  {size / 1000:6.0f} kB")
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            page.goto(f"{url}/appearances")
            began = time.perf_counter()
            while page.locator("li.visit").count() < VISITS:
                page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
                page.wait_for_timeout(20)
            print(f"{VISITS} rows, {time.perf_counter() - began:.1f} s to load them by scrolling")
            gaps = page.evaluate(SCROLL)
            print(f"scrolling: {1000 / np.mean(gaps):.0f} images/s, 99 % within "
                  f"{np.percentile(gaps, 99):.0f} ms, longest {max(gaps):.0f} ms")  # fmt: skip
            page.close()


def live(browser: Browser, turns: int, seconds: float, models: bool) -> None:
    """Measure a run of four cameras, watched and not."""
    with running(models) as (url, process):
        delays: list[float] = []
        costs: dict[bool, list[float]] = {False: [], True: []}
        lost: dict[bool, list[float]] = {False: [], True: []}
        for turn in range(2 * turns):
            watched = bool(turn % 2)
            page = browser.new_page(viewport={"width": 1400, "height": 900})
            page.goto(f"{url}/live" if watched else "about:blank")
            page.wait_for_timeout(3000)
            before = cpu(process), *frames(url)
            end, seen = time.monotonic() + seconds, set[tuple[int, str]]()
            while time.monotonic() < end:
                for place, (index, delay) in enumerate(page.evaluate(DELAYS)):
                    if (place, index) not in seen:
                        seen.add((place, index))
                        delays.append(delay)
                page.wait_for_timeout(30)
            after = cpu(process), *frames(url)
            spent, received, done = (b - a for a, b in zip(before, after, strict=True))
            costs[watched].append(1000 * spent / done)
            lost[watched].append(1 - done / received)
            page.close()
        kind = "with" if models else "without"
        print(f"{CAMERAS} cameras, 1280x720, {FPS} frames/s, {kind} models")
        for watched, words in ((False, "nobody looks"), (True, "one page of four")):
            print(f"{words:18} {np.median(costs[watched]):6.2f} ms of CPU a frame, "
                  f"{100 * np.median(lost[watched]):.1f} % not analysed")  # fmt: skip
        ratio = np.median(costs[True]) / np.median(costs[False]) - 1
        print(f"the page costs the line {100 * ratio:+.1f} %")
        print(f"delay to the screen: median {np.median(delays):.2f} s, "
              f"95 % within {np.percentile(delays, 95):.2f} s ({len(delays)} images)")  # fmt: skip


@contextmanager
def running(models: bool) -> Iterator[tuple[str, int]]:
    """Yield the console's URL and the process id of a run of four cameras."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cameras = "".join(CAMERA.format(number, FPS) for number in range(CAMERAS))
        (folder / "onlooker.toml").write_text(CONFIG + ("" if models else NO_MODELS) + cameras)
        out = folder / "out.txt"
        with out.open("w") as said:
            process = subprocess.Popen(
                [sys.executable, "-m", "onlooker", "run"],
                cwd=folder,
                env={**os.environ, "ONLOOKER_DATA": str(folder / "data")},
                stdout=said,
            )
        try:
            end = time.monotonic() + 120
            while "console  http" not in out.read_text():
                if time.monotonic() > end:
                    sys.exit("the run did not start")
                time.sleep(0.2)
            url = out.read_text().split("console  ")[1].splitlines()[0]
            time.sleep(15)  # the models are loaded
            yield url, process.pid
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def frames(url: str) -> tuple[int, int]:
    """Return the frames received and analysed, of all cameras."""
    text = Visitor(url).get("/streams/table").text.replace("\u202f", "")
    counts = [int(value) for value in re.findall(r"<dt>(?:received|analysed)</dt><dd>(\d+)", text)]
    return sum(counts[::2]), sum(counts[1::2])


def cpu(parent: int) -> float:
    """Return the CPU seconds of the run's processes so far, but for the console's own."""
    ticks = 0
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            command = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if parent in (int(fields[1]), int(entry.name)) and b"onlooker.console" not in command:
            ticks += int(fields[11]) + int(fields[12])
    return ticks / TICKS


if __name__ == "__main__":
    main()
