"""The page of people: its list, and every change that it offers, with what undoes it."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from msgspec.structs import replace
from playwright.sync_api import Page, expect
from tests.support.console import KEYS, Visitor, serving
from tests.support.people import SPACE, chip, join, log_of, many, visit, visitor

from onlooker.api.access_keys import Key
from onlooker.config.schema import Config
from onlooker.config.tracking import People as PeopleSettings
from onlooker.identity.people.people import open_people

HOSTILE = '"><img src=x onerror=alert(1)><script>alert(2)</script>'
MANY = 1000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three people with visits and faces; the first two are alike, as one person at two ages."""
    visits = [visitor(person, photo) for person in (1, 2, 3) for photo in range(3)]
    assert len(set(join(tmp_path, *visits))) == 3
    log_of(tmp_path, *visits)
    return tmp_path


@pytest.fixture
def url(folder: Path) -> Iterator[str]:
    with serving(folder) as url:
        yield url


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A console with a thousand people."""
    folder = tmp_path_factory.mktemp("crowd")
    many(folder, MANY)
    with serving(folder) as url:
        yield url


def groups(folder: Path) -> dict[str, int]:
    """Return the number of visits of each person."""
    with open_people(SPACE, folder / "faces.db") as people:
        return {person: number for person, number, _, _ in people.journal.people()}


def names(text: str) -> list[str]:
    return re.findall(r'name="person" value="([^"]*)"', text)


def test_a_visit_says_who_gave_the_name_and_what_to_do_without_one(url: str) -> None:
    client = Visitor(url)
    path = f"/appearances/{visit(1, 0)}"
    before = client.get(path).text
    assert "Nobody has said yet" in before
    assert '<a href="/people/one?person=unknown-000001">who unknown-000001 is</a>' in before
    assert "No collection" not in before
    client.get("/people")
    fields = {"person": "unknown-000001", "name": "Ada Lovelace"}
    assert client.post("/people/name", fields).status == 200
    named = client.get(path).text
    assert "One of the visits of <a " in named
    assert ">Ada Lovelace</a>, who got the name on the page People" in named
    assert "No collection" not in named
    rows = client.get("/appearances/rows?person=Ada Lovelace".replace(" ", "+")).text
    assert rows.count('class="who"') == rows.count('id="visit-') == 3


def test_a_name_that_is_refused_is_told_beside_it(url: str, page: Page) -> None:
    page.goto(f"{url}/people")
    page.get_by_role("button", name="Name unknown-000001").click()
    dialog = page.locator("#dialog")
    dialog.get_by_label("Name").fill(" ")
    dialog.get_by_role("button", name="Name").click()
    expect(dialog.locator(".trouble")).to_contain_text("name")
    dialog.get_by_label("Name").fill("Ada")
    dialog.get_by_role("button", name="Name").click()
    expect(page.locator("#done")).to_contain_text("unknown-000001 is Ada now")


class TestList:
    def test_a_thousand_people_are_paged_without_a_gap(self, crowded: str) -> None:
        visitor, after, seen = Visitor(crowded), "", list[str]()
        while True:
            text = visitor.get(f"/people/rows?after={after}").text
            seen += names(text)
            found = re.search(r'"after": ?"([^"]*)"', text.replace("&#34;", '"'))
            if found is None:
                break
            after = found[1]
        assert seen == [f"unknown-{each:06d}" for each in reversed(range(MANY))]

    @pytest.mark.parametrize(
        ("query", "number"),
        [
            ("show=unknown", 3),
            ("show=named", 0),
            ("show=hidden", 0),
            ("show=nonsense", 3),
            ("find=UNKNOWN-000002", 1),
            ("find=nobody", 0),
        ],
    )
    def test_conditions(self, url: str, query: str, number: int) -> None:
        assert len(names(Visitor(url).get(f"/people/rows?{query}").text)) == number

    def test_empty_lists_say_what_to_do(self, tmp_path: Path) -> None:
        with serving(tmp_path) as url:
            assert "enabled = true" in Visitor(url).get("/people").text
        on = Config(people=PeopleSettings(enabled=True))
        with serving(tmp_path, config=on) as url:
            assert "Nobody unknown has come yet" in Visitor(url).get("/people").text

    def test_a_face_is_shown_where_there_is_one(self, url: str) -> None:
        text = Visitor(url).get("/people").text
        assert f'src="/appearances/{visit(3, 2)}/face"' in text
        assert Visitor(url).get(f"/appearances/{visit(3, 2)}/face").headers["content-type"] == (
            "image/jpeg"
        )
        assert Visitor(url).get(f"/appearances/{visit(9, 9)}/face").status == 404
        assert chip(3)[:2] == b"\xff\xd8"

    @pytest.mark.parametrize(
        "path",
        [
            "/people/rows?after=nonsense",
            "/people/one?person=nobody",
            "/people/one",
            "/people/visits?person=unknown-000001&after=-1",
            "/people/visits?person=unknown-000001&after=%C2%B2",
            "/people/ask/merge?person=unknown-000001",
            "/people/ask/merge",
            "/people/ask/../../etc/passwd",
            "/people/ask/name?person=nobody",
        ],
    )
    def test_nonsense_is_refused(self, url: str, path: str) -> None:
        answer = Visitor(url).get(path)
        assert answer.status in (400, 404, 409), answer.text


class TestKeys:
    def test_who_may_only_look_changes_nothing(self, folder: Path) -> None:
        with serving(folder, KEYS) as url:
            viewer = Visitor(url)
            viewer.sign_in("VIEWER")
            assert viewer.get("/people").status == 200
            for change in ("name", "merge", "hide", "forget", "apart", "split", "not", "undo"):
                answer = viewer.post(f"/people/{change}", {"person": "unknown-000001", "name": "x"})
                assert answer.status == 403
            assert viewer.get("/people/ask/name?person=unknown-000001").status == 403
        assert groups(folder) == {f"unknown-00000{each}": 3 for each in (1, 2, 3)}

    def test_a_key_for_other_collections_sees_nobody(self, folder: Path) -> None:
        keys = {"STAFF": Key(id="STAFF", secret="a-secret-of-staff-", user="s", collections=("s",))}
        KEYS["STAFF"] = keys["STAFF"]
        with serving(folder, keys) as url:
            visitor = Visitor(url)
            visitor.post("/sign-in", {"id": "STAFF", "secret": keys["STAFF"].secret})
            assert visitor.get("/people").status == 403
            assert visitor.get("/people/one?person=unknown-000001").status == 403

    def test_a_change_needs_the_pages_token(self, url: str) -> None:
        visitor = Visitor(url)
        visitor.get("/people")
        fields = {"person": "unknown-000001", "name": "Ada"}
        assert visitor.post("/people/name", fields, {"X-CSRF-Token": "forged"}).status == 403
        assert visitor.post("/people/name", fields, {"Origin": "http://evil.test"}).status == 403
        assert visitor.post("/people/name", fields).status == 200


class TestChanges:
    def test_naming_somebody(self, url: str, folder: Path, page: Page) -> None:
        page.goto(f"{url}/people")
        page.get_by_role("button", name="Name unknown-000003").click()
        dialog = page.locator("dialog")
        expect(dialog).to_contain_text("Who is unknown-000003?")
        expect(dialog.locator("img")).to_have_count(3)
        expect(dialog.get_by_label("Name")).to_be_focused()
        page.keyboard.type("Ada Müller")
        page.keyboard.press("Enter")
        expect(page.locator("#done")).to_contain_text("unknown-000003 is Ada Müller now.")
        expect(dialog).to_be_hidden()
        expect(page.locator(".card .who").first).to_have_text("Ada Müller")
        page.locator("#done").get_by_role("button", name="Undo").click()
        expect(page.locator(".card .who").first).to_have_text("unknown-000003")
        assert groups(folder)["unknown-000003"] == 3

    def test_a_name_that_somebody_has_is_no_merge_by_accident(self, url: str) -> None:
        visitor = Visitor(url)
        visitor.get("/people")
        assert (
            visitor.post("/people/name", {"person": "unknown-000001", "name": "Ada"}).status == 200
        )
        again = visitor.post("/people/name", {"person": "unknown-000002", "name": "Ada"})
        assert again.status == 409
        assert "select both and merge them" in again.text

    @pytest.mark.parametrize("name", ["", " ", "x" * 101, "a\nb", "a\u202eb"])
    def test_a_name_that_is_none(self, url: str, name: str) -> None:
        visitor = Visitor(url)
        visitor.get("/people")
        answer = visitor.post("/people/name", {"person": "unknown-000001", "name": name})
        assert answer.status == 400

    def test_a_number_of_a_change_that_is_none(self, url: str) -> None:
        visitor = Visitor(url)
        visitor.get("/people")
        for number, status in (("9" * 40, 200), ("9" * 18, 409), ("\u0663", 200), ("x", 200)):
            assert visitor.post("/people/undo", {"changes": number}).status == status

    def test_merging_with_a_preview(self, url: str, folder: Path, page: Page) -> None:
        page.goto(f"{url}/people")
        for number in (1, 2):
            page.get_by_label(f"Select unknown-00000{number}").check()
        expect(page.locator(".selected")).to_be_visible()
        expect(page.locator(".tools").get_by_role("button", name="Name")).to_be_hidden()
        page.get_by_role("button", name="Merge", exact=True).click()
        dialog = page.locator("dialog")
        expect(dialog.locator("img")).to_have_count(6)
        expect(dialog).to_contain_text("similarity 0.0")
        dialog.get_by_label("unknown-000001").check()
        dialog.get_by_role("button", name="Merge").click()
        expect(page.locator("#done")).to_contain_text("unknown-000002 is unknown-000001 now.")
        expect(page.locator("li.card")).to_have_count(2)
        assert groups(folder) == {"unknown-000001": 6, "unknown-000003": 3}
        page.locator("#done").get_by_role("button", name="Undo").click()
        expect(page.locator("li.card")).to_have_count(3)

    def test_who_was_in_one_image_is_told_apart(self, tmp_path: Path) -> None:
        together = replace(visitor(2, 0), together=(visit(1, 0),))
        join(tmp_path, visitor(1, 0), together)
        with serving(tmp_path) as url:
            path = "/people/ask/merge?person=unknown-000001&person=unknown-000002"
            assert "so they are two people" in Visitor(url).get(path).text

    def test_a_stream_that_a_key_does_not_reach_is_not_named(self, tmp_path: Path) -> None:
        join(tmp_path, visitor(1, 0), replace(visitor(2, 0), stream="vault"))
        keys = {"ADMIN": KEYS["ADMIN"], "VIEWER": replace(KEYS["ADMIN"], streams=("door",))}
        keys["VIEWER"] = replace(keys["VIEWER"], id="VIEWER", secret=KEYS["VIEWER"].secret)
        path = "/people/ask/merge?person=unknown-000001&person=unknown-000002"
        with serving(tmp_path, keys) as url:
            for id, named in (("ADMIN", True), ("VIEWER", False)):
                other = Visitor(url)
                other.sign_in(id)
                text = other.get(path).text
                assert "unknown-000002" in text
                assert ("vault" in text) == named

    def test_hiding_and_forgetting(self, url: str, folder: Path, page: Page) -> None:
        page.goto(f"{url}/people")
        page.get_by_label("Select unknown-000002").check()
        page.get_by_role("button", name="Hide").click()
        expect(page.locator("li.card")).to_have_count(2)
        page.locator("#done").get_by_role("button", name="Undo").click()
        expect(page.locator("li.card")).to_have_count(3)
        page.get_by_label("Select unknown-000002").check()
        page.get_by_role("button", name="Hide").click()
        expect(page.locator("li.card")).to_have_count(2)
        page.get_by_label("Show").select_option("hidden")
        expect(page.locator("li.card")).to_have_count(1)
        page.get_by_label("Select unknown-000002").check()
        expect(page.get_by_role("button", name="Hide")).to_be_hidden()
        page.get_by_role("button", name="Show again").click()
        expect(page.locator("li.card")).to_have_count(0)
        expect(page.locator("#done")).to_contain_text("unknown-000002 is shown now.")
        page.get_by_label("Show").select_option("all")
        page.get_by_label("Select unknown-000003").check()
        page.get_by_role("button", name="Forget").click()
        expect(page.locator("dialog")).to_contain_text("This cannot be undone.")
        page.get_by_role("button", name="Erase").click()
        expect(page.locator("#done")).to_contain_text("erased, with 3 visits")
        expect(page.locator("li.card")).to_have_count(2)
        assert "unknown-000003" not in groups(folder)

    def test_splitting_and_refusing(self, url: str, folder: Path, page: Page) -> None:
        page.goto(f"{url}/people/one?person=unknown-000001")
        cards = page.locator("li.card")
        expect(cards).to_have_count(3)
        cards.nth(0).get_by_role("checkbox").check()
        page.get_by_role("button", name="They are another person").click()
        expect(page.locator("#done")).to_contain_text("1 visit of unknown-000001 is unknown-000004")
        expect(cards).to_have_count(2)
        cards.nth(0).get_by_role("checkbox").check()
        page.get_by_role("button", name="Not this person").click()
        expect(cards).to_have_count(1)
        assert groups(folder) == {
            "unknown-000001": 1,
            "unknown-000002": 3,
            "unknown-000003": 3,
            "unknown-000004": 1,
        }
        page.locator("#done").get_by_role("button", name="Undo").click()
        expect(cards).to_have_count(2)

    def test_the_last_changes_can_be_undone(self, url: str, folder: Path, page: Page) -> None:
        page.goto(f"{url}/people")
        page.get_by_text("Last changes").click()
        page.get_by_role("button", name="Undo change 9").click()
        expect(page.locator("#done")).to_have_text("Undone.")
        expect(page.get_by_role("cell", name="undone")).to_be_visible()
        assert groups(folder)["unknown-000003"] == 2

    def test_two_browsers_see_one_change(self, url: str, page: Page) -> None:
        page.goto(f"{url}/people/one?person=unknown-000001")
        other = Visitor(url)
        other.get("/people")
        assert other.post("/people/name", {"person": "unknown-000001", "name": "Ada"}).status == 200
        page.locator("li.card").nth(0).get_by_role("checkbox").check()
        page.get_by_role("button", name="Not this person").click()
        expect(page.locator("h1")).to_have_text("Ada")
        expect(page.locator("li.card")).to_have_count(2)


class TestSuggestions:
    def test_those_who_are_alike_are_suggested_until_told_apart(
        self, tmp_path: Path, page: Page
    ) -> None:
        visits = [visitor(1, 0), replace(visitor(2, 0), vector=visitor(1, 0).vector)]
        join(tmp_path, visits[0], replace(visits[1], together=(visits[0].appearance,)))
        with open_people(SPACE, tmp_path / "faces.db") as people:
            assert [pair.similarity for pair in people.suggest()] == [pytest.approx(100)]
        with serving(tmp_path) as url:
            assert "may be one person" not in Visitor(url).get("/people/suggestions").text

    def test_two_people_are_not_suggested_again(self, tmp_path: Path, page: Page) -> None:
        first, second, third = (
            visitor(1, photo, vector=visitor(1, 0).vector) for photo in range(3)
        )
        join(tmp_path, first, second)
        with open_people(SPACE, tmp_path / "faces.db") as people:
            made = people.split("unknown-000001", [second.appearance])
            for change in people.journal.changes(1):
                people.journal.allow(change.number)  # as if they had been two from the beginning
            assert made == "unknown-000002"
        with serving(tmp_path) as url:
            page.goto(f"{url}/people")
            expect(page.locator(".suggestions li")).to_have_count(1)
            page.get_by_role("button", name="Merge unknown").click()
            expect(page.locator("dialog")).to_contain_text("Are they one person?")
            page.get_by_role("button", name="Cancel").click()
            page.get_by_role("button", name="are two people").click()
            expect(page.locator(".suggestions")).to_have_count(0)
        assert third.appearance not in groups(tmp_path)


class TestPage:
    def test_hostile_names_are_text(self, url: str, page: Page) -> None:
        alerts: list[str] = []
        page.on("dialog", lambda dialog: alerts.append(dialog.message))
        visitor = Visitor(url)
        visitor.get("/people")
        named = {"person": "unknown-000001", "name": HOSTILE}
        assert visitor.post("/people/name", named).status == 200
        page.goto(f"{url}/people?show=named")
        expect(page.locator(".card .who")).to_have_text(HOSTILE)
        page.locator(".card .who").click()
        expect(page.locator("h1")).to_have_text(HOSTILE)
        page.get_by_role("button", name="Rename").click()
        expect(page.locator("dialog h2")).to_have_text(f"Who is {HOSTILE}?")
        page.goto(f"{url}/people")
        page.get_by_text("Last changes").click()
        expect(page.locator(".changes")).to_contain_text(HOSTILE)
        assert alerts == []

    def test_the_keyboard_alone_names_somebody(self, url: str, page: Page) -> None:
        page.goto(f"{url}/people")
        page.keyboard.press("j")
        expect(page.locator(".card .who").first).to_be_focused()
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page.locator("dialog").get_by_label("Name")).to_be_focused()
        page.keyboard.press("Escape")
        expect(page.locator("dialog")).to_be_hidden()
        page.keyboard.press("Enter")
        expect(page.locator("dialog").get_by_label("Name")).to_be_focused()
        page.keyboard.type("Zoe")
        page.keyboard.press("Enter")
        expect(page.locator("#done")).to_contain_text("is Zoe now")
        expect(page.locator("#done")).to_be_focused()  # the button that was has gone with its row
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page.locator("#done")).to_contain_text("Undone.")

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_accessible_and_as_wide_as_a_phone(self, url: str, page: Page, scheme: str) -> None:
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        page.set_viewport_size({"width": 375, "height": 700})
        for path in ("/people", "/people/one?person=unknown-000001"):
            page.goto(f"{url}{path}")
            page.locator("li.card input").first.check()
            assert page.evaluate("document.documentElement.scrollWidth") <= 375
            found = Axe().run(page).response["violations"]
            assert [each for each in found if each["impact"] in ("serious", "critical")] == []

    def test_a_crowd_is_scrolled(self, crowded: str, page: Page) -> None:
        page.goto(f"{crowded}/people")
        cards = page.locator("li.card")
        expect(cards).to_have_count(60)
        page.locator(".more").scroll_into_view_if_needed()
        expect(cards).to_have_count(120)
