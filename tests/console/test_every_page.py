"""Every page in a browser: accessible, on a wide screen and a phone's, light and dark; and what
strangers have written is text on all of them.
"""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from axe_playwright_python.sync_playwright import Axe
from msgspec.structs import replace
from playwright.sync_api import Page, expect
from tests.support.appearances import event, match, record
from tests.support.console import KEYS, Visitor, serving
from tests.support.frame_records import FACE, LINE
from tests.support.processes import wait_until
from tests.support.watched_run import watched_run

from onlooker.config.schema import KEEP_ALL, SourceConfig
from onlooker.console.console_context import PAGES
from onlooker.escape import PEOPLE, STREAMS
from onlooker.record.log.writer import Writer
from onlooker.stream.live_pictures import topic
from onlooker.stream.stream_table import StreamTable

PHONE, SCREEN = {"width": 390, "height": 800}, {"width": 1280, "height": 800}
HOSTILE = (
    "<script>window.hacked=1</script>",
    '"><script>window.hacked=1</script>',
    "<img src=x onerror=window.hacked=1>",
    "' onmouseover='window.hacked=1",
    '" autofocus onfocus="window.hacked=1',
    "javascript:window.hacked=1",
    "<svg/onload=window.hacked=1>",
    "{{ 7*7 }}{% raw %}",
    "${7*7}#{7*7}",
    "</title></textarea></select><iframe srcdoc='<script>parent.hacked=1</script>'>",
    "<a href=javascript:window.hacked=1>x</a>",
    "<form action=https://evil.example><button>x",
    "<div hx-get='/sign-out' hx-trigger='load'></div>",
    "<meta http-equiv=refresh content='0;url=https://evil.example'>",
    "<style>*{display:none}</style>",
    "&lt;script&gt;&#x3c;script&#x3e;",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with visits of hostile names, and streams of hostile names and addresses."""
    folder = tmp_path_factory.mktemp("console")
    visits = [
        record(place, event(place, "end", 10 + place, 20 + place, PEOPLE.encode(name)))
        for place, name in enumerate(HOSTILE)
    ]
    with Writer(folder / "records.db", KEEP_ALL) as log:
        log.append(visits)
    with StreamTable(folder / "streams.db") as table:
        for place, name in enumerate(HOSTILE):
            table.add(
                STREAMS.encode(name)[:128], SourceConfig(url=f"file:///videos/{place}/{name}")
            )
    return folder


@pytest.fixture(scope="module")
def url(folder: Path) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ONLOOKER_DATA", str(folder))
        with serving(folder) as url:
            yield url


@pytest.mark.parametrize("path", ["/sign-in", *(path for path, _ in PAGES)])
def test_axe_finds_nothing_serious_and_no_page_is_wider_than_the_screen(
    url: str, folder: Path, page: Page, path: str
) -> None:
    with serving(folder, KEYS) as locked:
        for viewport, scheme in ((SCREEN, "light"), (PHONE, "dark")):
            page.set_viewport_size(viewport)  # type: ignore[arg-type]
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            page.goto(f"{locked if path == '/sign-in' else url}{path}")
            page.wait_for_load_state("networkidle")
            found = Axe().run(page).response["violations"]
            serious = [each for each in found if each["impact"] in ("serious", "critical")]
            told = [(one["id"], one["nodes"][0]["html"][:200]) for one in serious]
            assert told == [], (path, scheme)
            width = page.evaluate("document.documentElement.scrollWidth")
            assert width <= viewport["width"], path
            for link in page.get_by_role("navigation").get_by_role("link").all():
                expect(link).to_be_in_viewport(ratio=1)  # without scrolling the bar


@pytest.mark.parametrize("path", [path for path, _ in PAGES])
def test_what_strangers_write_is_text(url: str, page: Page, path: str) -> None:
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    page.goto(f"{url}{path}")
    page.wait_for_load_state("networkidle")
    page.mouse.move(300, 300)
    assert page.evaluate("window.hacked ?? null") is None
    assert dialogs == []
    assert page.url == f"{url}{path}"
    assert page.locator("iframe, main script, main style, main meta").count() == 0


def test_hostile_names_are_shown_as_they_are(url: str, page: Page) -> None:
    page.goto(f"{url}/appearances")
    for name in HOSTILE:
        expect(page.locator(".who").get_by_text(name, exact=True)).to_be_visible()
    page.goto(f"{url}/streams")
    for name in HOSTILE:
        shown = STREAMS.shown(STREAMS.encode(name)[:128])
        expect(page.get_by_role("heading", name=shown, exact=True)).to_be_visible()


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_condition_finds_nothing_and_runs_nothing(url: str, name: str) -> None:
    visitor = Visitor(url)
    for field in ("person", "stream", "since", "until", "before"):
        answer = visitor.get(f"/appearances/rows?{urlencode({field: name})}")
        assert answer.status in (200, 400)
        if answer.headers["content-type"].startswith("text/html"):
            assert name not in answer.text or "<" not in name


def test_live_names_and_texts_are_drawn_and_run_nothing(tmp_path: Path, page: Page) -> None:
    faces = tuple(replace(FACE, identities=(match(PEOPLE.encode(name)),)) for name in HOSTILE)
    lines = tuple(replace(LINE, text=name) for name in HOSTILE)
    with watched_run("door") as run, serving(tmp_path) as url:
        page.goto(f"{url}/live")
        assert wait_until(lambda: run.watched(topic("door", "picture")), 60)
        run.show("door", 1, faces, lines)
        expect(page.locator("#tile-door .caption")).to_contain_text(HOSTILE[0])
        assert page.evaluate("window.hacked ?? null") is None


@pytest.mark.parametrize(
    "headers",
    [
        {"Cookie": "onlooker_session=" + "a" * 7000},
        {"Cookie": "onlooker_session=ADMIN.9999999999.00.00; onlooker_session=x"},
        {"Cookie": "onlooker_session=\x7f; ;;;=;"},
        {"Cookie": "onlooker_session=-.9999999999.aa." + "0" * 64},
        {"Cookie": "onlooker_zone=<script>; onlooker_zone=../../../etc/passwd"},
        {"HX-Request": "<script>"},
        {"Accept": "text/html, <script>"},
        {"Content-Length": "-1"},
        {"Content-Length": "9" * 30},
        {"Transfer-Encoding": "chunked, gzip"},
        {"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Host": "evil.example"},
        {"Upgrade": "websocket", "Connection": "Upgrade"},
        {"Range": "bytes=0-99999999999999999999"},
    ],
)
def test_strange_headers_get_nobody_in(folder: Path, headers: dict[str, str]) -> None:
    with serving(folder, KEYS) as locked:
        visitor = Visitor(locked)
        try:
            answer = visitor.get("/appearances", headers)
        except (OSError, ValueError):
            return  # the connection is closed, or the client refuses to send it
        assert answer.status in (303, 400, 401, 403, 413, 421)
        assert "hacked" not in answer.text
