"""The page of text: its search, and what is shown about a hit."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from hypothesis import given
from hypothesis import strategies as st
from playwright.sync_api import Page, expect
from tests.support.appearances import event, record
from tests.support.console import KEYS, Visitor, serving
from tests.support.people import DAY, chip
from tests.support.readings import READING, reading

from onlooker.api.access_keys import Key
from onlooker.config.schema import KEEP_ALL, Config, Match, SourceConfig, Text
from onlooker.console.text_page import marked
from onlooker.record.log.writer import Writer
from onlooker.types import Chip

HOSTILE = "<script>alert(1)</script>"
NUMBER = 10_000


def write(folder: Path, number: int) -> None:
    """Write a log of texts: every hundredth is a number plate, one is hostile."""
    records = [
        reading(
            each,
            f"AB-{each:04d} CD" if each % 100 == 0 else f"line {each}",
            DAY + each,
            DAY + each + 0.5,
            beside="Größe",
        )
        for each in range(number)
    ]
    hostile = reading(number, HOSTILE, DAY - 60, DAY - 50, stream="yard", beside=HOSTILE)
    there = record(0, event(1, "end", DAY - 100, DAY - 55, "anna"), stream="yard")
    image = Chip(track=READING.format(number), jpeg=chip(1))
    with Writer(folder / "records.db", KEEP_ALL) as log:
        log.append([*records, there, hostile], chips={hostile.RecordId: [image]})


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("text")
    write(folder, NUMBER)
    with serving(folder) as url:
        yield url


def ids(text: str) -> list[str]:
    return re.findall(r'id="text-([^"]*)"', text)


def test_ten_thousand_texts_are_paged_without_a_gap(url: str) -> None:
    visitor, path, seen = Visitor(url), "/text/rows?find=line", list[str]()
    while True:
        text = visitor.get(path).text
        seen += ids(text)
        if "before=" not in text or len(seen) >= 500:
            break
        found = re.search(r'hx-get="([^"]*)"', text[text.index('class="more"') :])
        assert found is not None
        path = found[1].replace("&amp;", "&")
    every = [each for each in reversed(range(NUMBER)) if each % 100]
    assert seen == [READING.format(each) for each in every[:500]]


@pytest.mark.parametrize(
    ("query", "number"),
    [
        ("find=ab-0100", 1),
        ("find=cd", 50),
        ("find=AB-&stream=door", 50),
        ("find=AB-&stream=yard", 0),
        ("stream=yard", 1),
        ("since=2026-09-22T00:00&until=2026-09-20T00:00", 0),
        ("find=%25", 0),
        ("find=%3Cscript", 1),
        ("find=%00", 0),
    ],
)
def test_conditions(url: str, query: str, number: int) -> None:
    assert len(ids(Visitor(url).get(f"/text/rows?{query}").text)) == number


def test_nonsense_is_refused(url: str) -> None:
    for path in ("/text/rows?before=x", "/text/rows?before=1_2", f"/text/{READING.format(99999)}"):
        assert Visitor(url).get(path).status in (400, 404)
    assert Visitor(url).get(f"/text/{READING.format(1)}/image").status == 404
    # An image of a text is none of a visit, and the other way round.
    assert Visitor(url).get(f"/appearances/{READING.format(NUMBER)}/face").status == 404


def test_a_stream_that_the_key_does_not_reach_is_not_shown(tmp_path: Path) -> None:
    write(tmp_path, 3)
    key = Key(id="OTHER", secret="a-secret-of-others", user="o", collections=("others",))
    config = Config(match=Match(collection="staff"))
    with serving(tmp_path, {"OTHER": key}, config) as url:
        visitor = Visitor(url)
        visitor.post("/sign-in", {"id": "OTHER", "secret": key.secret})
        assert ids(visitor.get("/text").text) == []
        assert visitor.get(f"/text/{READING.format(3)}").status == 404
        assert visitor.get(f"/text/{READING.format(3)}/image").status == 404
    with serving(tmp_path, KEYS, config) as url:
        assert Visitor(url).get(f"/text/{READING.format(3)}/image").status == 401


def test_empty_lists_say_what_to_do(tmp_path: Path) -> None:
    with serving(tmp_path) as url:
        assert "Nothing has been read yet" in Visitor(url).get("/text").text
    with serving(tmp_path, config=Config(text=Text(enabled=False))) as url:
        assert "Text is not read" in Visitor(url).get("/text").text


@given(text=st.text(max_size=20), find=st.text(max_size=3))
def test_a_text_is_marked_whole(text: str, find: str) -> None:
    parts = marked(text, find)
    assert "".join(part for part, _ in parts) == text
    assert all(part.casefold() == find.casefold() for part, hit in parts if hit and part.isascii())


def test_searching_in_a_browser(url: str, page: Page) -> None:
    page.goto(f"{url}/text")
    expect(page.locator("li.visit")).to_have_count(50)
    page.keyboard.press("/")
    page.keyboard.type("ab-01")
    expect(page.locator("li.visit")).to_have_count(1)
    expect(page.locator("li.visit mark")).to_have_text("AB-01")
    page.keyboard.press("Tab")
    page.keyboard.press("Control+a")
    page.locator("li.visit summary").click()
    expect(page.locator(".why")).to_contain_text("Größe")
    expect(page.locator(".why polygon.own")).to_have_count(1)
    expect(page.locator(".why figcaption")).to_contain_text("no image of the whole frame")


def test_of_a_video_the_frame_itself_is_shown(tmp_path: Path) -> None:
    write(tmp_path, 1)
    config = Config(streams={"door": SourceConfig(url="/videos/door.mp4")})
    with serving(tmp_path, config=config) as url:
        text = Visitor(url).get(f"/text/{READING.format(0)}").text
    assert '<img src="/moments/' in text
    assert "<svg" not in text


def test_a_hostile_text_is_text_and_has_its_image(url: str, page: Page) -> None:
    alerts: list[str] = []
    page.on("dialog", lambda dialog: alerts.append(dialog.message))
    page.goto(f"{url}/text?stream=yard")
    expect(page.locator(".who")).to_have_text(HOSTILE)
    image = page.locator("img.line")
    expect(image).to_be_visible()
    assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") == 96
    page.locator("li.visit summary").click()
    expect(page.locator(".context li").first).to_have_text(HOSTILE)
    expect(page.locator(".faces")).to_contain_text("anna")
    assert alerts == []


def test_a_long_list_is_scrolled_smoothly(url: str, page: Page) -> None:
    page.goto(f"{url}/text")
    rows = page.locator("li.visit")
    for number in (100, 150, 200):
        page.locator(".more").scroll_into_view_if_needed()
        expect(rows).to_have_count(number)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessible_and_as_wide_as_a_phone(url: str, page: Page, scheme: str) -> None:
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.set_viewport_size({"width": 375, "height": 700})
    page.goto(f"{url}/text?find=AB-")
    page.locator("li.visit summary").first.click()
    expect(page.locator(".why polygon").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    found = Axe().run(page).response["violations"]
    assert [each for each in found if each["impact"] in ("serious", "critical")] == []
