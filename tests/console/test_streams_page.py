"""The page of streams, of a program that runs."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from playwright.sync_api import Page, expect
from tests.support.commands import ONLOOKER, environment
from tests.support.console import KEYS, Visitor, serving
from tests.support.processes import descendants, wait_until

from onlooker.config.schema import SourceConfig
from onlooker.console.run_observer import RunObserver
from onlooker.stream.messages import Status
from onlooker.stream.program import Program
from onlooker.stream.stream_table import StreamTable

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


def test_a_run_without_workers_is_loading(
    program: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    observer = RunObserver(program[1])
    ask = Program.ask

    def begun(program: Program) -> Status | None:
        status = ask(program)
        assert status is not None
        return replace(status, workers=tuple(w for w in status.workers if w.stage != "detect"))

    observer.ask()
    assert not observer.loading
    monkeypatch.setattr(Program, "ask", begun)
    observer.ask()
    assert observer.loading
    observer.close()


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

    assert wait_until(told, 60), text
    assert "rtsp://127.0.0.1:9" in text
    assert "secret" not in text


def test_the_page_comes_back_after_its_process_was_killed(
    program: tuple[str, int], page: Page, expected: list[str]
) -> None:
    expected += ["net::ERR_", "htmx:sendError", "htmx:afterRequest"]
    url, parent = program
    page.goto(f"{url}/streams")
    expect(page.locator("#stream-door")).to_be_visible()
    [(_, process)] = [item for item in descendants(parent).items() if item[0].startswith("console")]
    os.kill(process, signal.SIGKILL)
    expect(page.locator("#connection")).to_have_text("not connected")
    expect(page.locator("#connection")).to_have_text("", timeout=20_000)
    before = page.locator("#stream-door dd").first.inner_text()
    expect(page.locator("#stream-door dd").first).not_to_have_text(before)


def test_a_camera_is_added_paused_changed_and_removed(program: tuple[str, int], page: Page) -> None:
    page.on("dialog", lambda dialog: dialog.accept())
    page.goto(f"{program[0]}/streams")
    page.get_by_role("button", name="Add a camera").click()
    page.get_by_label("Name").fill("back yard")
    page.get_by_label("Address").fill("test://nothing")
    page.get_by_role("button", name="Test and save").click()
    expect(page.locator("#sheet .trouble")).to_contain_text("no such test video")
    expect(page.locator("#sheet .trouble")).to_contain_text("It was not saved")
    page.get_by_label("Address").fill("test://moving?size=64x36&fps=5")
    page.get_by_label("Frames a second").fill("4")
    page.get_by_role("button", name="Test and save").click()
    expect(page.locator("dialog")).not_to_be_visible()
    card = page.locator("article", has=page.get_by_role("heading", name="back yard"))
    expect(card.locator(".health")).to_have_text("well", timeout=30_000)
    card.get_by_role("button", name="Pause").click()
    expect(card.locator(".health")).to_have_text("paused")
    expect(card.locator(".counts")).to_have_count(0, timeout=15_000)
    card.get_by_role("button", name="Resume").click()
    expect(card.locator(".health")).to_have_text("well", timeout=30_000)
    card.get_by_role("button", name="Change").click()
    expect(page.get_by_label("Frames a second")).to_have_value("4.0")
    expect(page.get_by_label("Address")).to_have_value("")
    page.get_by_label("Frames a second").fill("2")
    page.get_by_role("button", name="Test and save").click()
    expect(page.locator("dialog")).not_to_be_visible()
    card.get_by_role("button", name="Remove").click()
    expect(card).to_have_count(0)


def test_a_stream_of_the_file_can_be_paused_but_not_removed(
    program: tuple[str, int], page: Page
) -> None:
    page.goto(f"{program[0]}/streams")
    card = page.locator("#stream-gone")
    expect(card.get_by_role("button", name="Remove")).to_have_count(0)
    card.get_by_role("button", name="Pause").click()
    expect(card.locator(".health")).to_have_text("paused")
    card.get_by_role("button", name="Resume").click()
    expect(card.locator(".health")).not_to_have_text("paused", timeout=15_000)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder of the test's own."""
    monkeypatch.setenv("ONLOOKER_DATA", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("fields", "status", "words"),
    [
        ({"name": "", "url": "test://moving"}, 422, "1 to 128 letters"),
        ({"name": "x" * 200, "url": "test://moving"}, 422, "1 to 128 letters"),
        ({"name": "a"}, 422, "the address is missing"),
        ({"name": "a", "url": "gopher://x"}, 422, "gopher:// is not supported"),
        ({"name": "a", "url": "javascript:alert(1)"}, 422, "No such file"),
        ({"name": "a", "url": "test://moving", "fps": "many"}, 422, "must be a number"),
        ({"name": "a", "url": "test://moving", "fps": "-1"}, 422, "> 0"),
        ({"name": "a", "url": "/etc/passwd"}, 422, "It was not saved"),
        ({"old": "nobody", "url": "test://moving"}, 404, "nobody"),
    ],
)
def test_what_cannot_be_saved_is_told(
    data: Path, fields: dict[str, str], status: int, words: str
) -> None:
    with serving(data) as url:
        visitor = Visitor(url)
        visitor.get("/streams")
        answer = visitor.post("/streams/save", fields)
        assert (answer.status, words in answer.text) == (status, True), answer.text
        with StreamTable(data / "streams.db") as table:
            assert table.added() == {}


def test_a_name_may_have_any_letters_and_is_taken_once(data: Path) -> None:
    fields = {"name": "<b>Küche</b>", "url": "test://moving", "faces": "on"}
    with serving(data) as url:
        visitor = Visitor(url)
        visitor.get("/streams")
        assert visitor.post("/streams/save", fields).status == 200
        assert visitor.post("/streams/save", fields).status == 409
        text = visitor.get("/streams").text
    assert "&lt;b&gt;Küche&lt;/b&gt;" in text
    with StreamTable(data / "streams.db") as table:
        [source] = table.added().values()
    assert (source.faces, source.text, source.policy) == (None, False, "live")


def test_a_camera_that_is_off_can_be_saved_all_the_same(data: Path) -> None:
    fields = {"name": "off", "url": "rtsp://127.0.0.1:9/x"}
    with serving(data) as url:
        visitor = Visitor(url)
        visitor.get("/streams")
        refused = visitor.post("/streams/save", fields)
        assert refused.status == 422
        assert "refused" in refused.text
        assert visitor.post("/streams/save", {**fields, "unchecked": "on"}).status == 200


def test_only_who_may_change_streams_can(data: Path) -> None:
    with StreamTable(data / "streams.db") as table:
        table.add("door", SourceConfig(url="test://moving"))
    with serving(data, KEYS) as url:
        visitor = Visitor(url)
        visitor.sign_in("VIEWER")
        assert "Add a camera" not in visitor.get("/streams").text
        assert visitor.get("/streams/form").status == 403
        for path in ("save", "door/pause", "door/resume", "door/remove"):
            assert visitor.post(f"/streams/{path}", {"name": "a"}).status == 403
        visitor.sign_in("ADMIN")
        for name in ("nobody", "%3Cscript%3E", ".."):
            assert visitor.post(f"/streams/{name}/pause").status == 404
        assert visitor.post("/streams/door/remove").status == 200


def test_a_password_never_comes_back(data: Path) -> None:
    with StreamTable(data / "streams.db") as table:
        table.add("door", SourceConfig(url="rtsp://ada:secret@192.0.2.7/a?key=secret"))
    with serving(data) as url:
        for path in ("/streams", "/streams/form?name=door", "/live"):
            assert "secret" not in Visitor(url).get(path).text


def test_without_streams_the_page_says_what_to_do(data: Path) -> None:
    with serving(data) as url:
        assert "No stream yet" in Visitor(url).get("/streams").text
