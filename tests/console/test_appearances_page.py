"""The page of appearances: its list, its filter, and why a visit has its name."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from tests.support.appearances import VISIT, event, record
from tests.support.console import Visitor, serving
from tests.support.processes import wait_until
from tests.support.watched_run import watched_run

from onlooker.config.schema import KEEP_ALL
from onlooker.escape import PEOPLE
from onlooker.record.log.writer import Writer

HOSTILE = "<script>alert(1)</script>"
DAY = 1_790_000_000.0


def write(folder: Path, number: int = 120) -> None:
    """Write a log of visits: every third is Anna's, one is of somebody with a hostile name."""
    records = [
        record(
            each,
            event(
                each,
                "end",
                DAY + 100 * each,
                DAY + 100 * each + 30,
                "anna" if each % 3 == 0 else None,
            ),
        )
        for each in range(number)
    ]
    hostile = event(number, "new", DAY - 500, DAY - 400, PEOPLE.encode(HOSTILE))
    with Writer(folder / "records.db", KEEP_ALL) as log:
        log.append([*records, record(0, hostile, stream="yard")])


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("console")
    write(folder)
    with serving(folder) as url:
        yield url


def test_somebody_is_here_while_the_stream_runs(tmp_path: Path) -> None:
    with Writer(tmp_path / "records.db", KEEP_ALL) as log:
        log.append([record(0, event(0, "new", DAY, DAY + 0.5), event(1, "end", DAY, DAY + 9))])
    with watched_run("door"), serving(tmp_path) as url:
        assert wait_until(lambda: "tile-door" in Visitor(url).get("/live").text, 60)
        text = Visitor(url).get("/appearances/rows").text
    assert text.count(">here<") == 1
    assert text.count("since") == 1
    assert "0.5 s" not in text, "it goes on"
    assert "9.0 s" in text
    with serving(tmp_path) as url:
        text = Visitor(url).get("/appearances/rows").text
    assert ">here<" not in text, "nobody knows"
    assert "0.5 s" in text


def test_visits_are_paged_without_a_gap(url: str) -> None:
    visitor, path, seen = Visitor(url), "/appearances/rows?", list[str]()
    for _ in range(5):
        text = visitor.get(path).text
        seen += [part.split('"')[0] for part in text.split('id="visit-')[1:]]
        if "before=" not in text:
            break
        path = text.split('hx-get="/appearances/rows')[1].split('"')[0]
        path = f"/appearances/rows{path}".replace("&amp;", "&")
    expected = [VISIT.format(each) for each in [*reversed(range(120)), 120]]
    assert seen == expected


@pytest.mark.parametrize(
    ("query", "number"),
    [
        ("person=anna", 40),
        ("person=nobody", 0),
        ("stream=yard", 1),
        ("stream=door&person=anna", 40),
        ("since=2026-09-21T00:00&until=2026-09-20T00:00", 0),
        ("since=nonsense", 50),
    ],
)
def test_conditions(url: str, query: str, number: int) -> None:
    text = Visitor(url).get(f"/appearances/rows?{query}").text
    assert text.count('id="visit-') == number


def test_a_place_that_is_none_is_refused(url: str) -> None:
    for before in ("1", "x_y", "1_2", "_", "nan"):
        assert Visitor(url).get(f"/appearances/rows?before={before}").status == 400
    assert Visitor(url).get(f"/appearances/{VISIT.format(9999)}").status == 404
    assert Visitor(url).get("/appearances/nonsense").status == 404


def test_a_visit_says_why_it_has_its_name(url: str) -> None:
    named = Visitor(url).get(f"/appearances/{VISIT.format(0)}").text
    assert "91.5 similar to <b>anna</b>" in named
    assert "80.0 would have been enough" in named
    assert "No collection is searched" in Visitor(url).get(f"/appearances/{VISIT.format(1)}").text


def test_a_part_of_a_name_offers_the_names_that_have_it(url: str, page: Page) -> None:
    page.goto(f"{url}/appearances")
    page.get_by_label("Person").fill("ANN")
    page.get_by_label("Person").press("Enter")
    expect(page.locator(".empty")).to_contain_text("Did you mean anna?")
    page.get_by_role("link", name="anna").click()
    expect(page.locator("li.visit")).to_have_count(40)
    assert "Leave a condition out" in Visitor(url).get("/appearances/rows?person=xyz").text
    other_day = Visitor(url).get("/appearances/rows?person=anna&until=2020-01-01T00:00").text
    assert "Did you mean" not in other_day, "the name is right; the time is not"


def test_an_empty_log_says_what_to_do(tmp_path: Path) -> None:
    with serving(tmp_path) as url:
        assert "Nobody has come yet" in Visitor(url).get("/appearances").text


def test_the_list_in_a_browser(url: str, page: Page) -> None:
    page.goto(f"{url}/appearances")
    rows = page.locator("li.visit")
    expect(rows).to_have_count(50)
    expect(rows.first.locator(".who")).to_have_text("unknown")
    rows.last.scroll_into_view_if_needed()
    page.mouse.wheel(0, 10_000)
    expect(rows).to_have_count(100)
    page.get_by_label("Person").fill("anna")
    page.get_by_label("Person").press("Enter")
    expect(rows).to_have_count(40)
    expect(rows.first.locator(".who")).to_have_text("anna")
    rows.first.locator("summary").click()
    expect(rows.first.locator(".why")).to_contain_text("91.5 similar to anna")


def test_times_are_the_browsers(url: str, page: Page) -> None:
    page.goto(f"{url}/appearances")
    page.reload()
    expect(page.locator(".when").first).to_have_text("21 Sep 2026, 19:31:40 – 19:32:10")


def test_the_keyboard_walks_the_list(url: str, page: Page) -> None:
    page.goto(f"{url}/appearances")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.locator("li.visit").nth(1).locator(".facts")).to_be_visible()
    page.keyboard.press("/")
    expect(page.get_by_label("Person")).to_be_focused()


def test_a_hostile_name_is_text(url: str, page: Page) -> None:
    alerts: list[str] = []
    page.on("dialog", lambda dialog: alerts.append(dialog.message))
    page.goto(f"{url}/appearances?stream=yard")
    expect(page.locator(".who")).to_have_text(HOSTILE)
    assert alerts == []


def test_a_new_visit_comes_by_itself(tmp_path: Path, page: Page) -> None:
    write(tmp_path, 3)
    with serving(tmp_path) as url:
        page.goto(f"{url}/appearances")
        expect(page.locator("li.visit")).to_have_count(4)
        page.wait_for_timeout(1500)  # the page has told the server what it wants to know
        with Writer(tmp_path / "records.db", KEEP_ALL) as log:
            log.append([record(9, event(9, "new", DAY + 9000, DAY + 9001, "bert"))])
        expect(page.locator("li.visit").first.locator(".who")).to_have_text("bert")
