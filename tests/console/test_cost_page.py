"""The page of cost: calls of a month, at Amazon's list prices."""

import time
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from msgspec.structs import replace
from playwright.sync_api import Page, expect
from tests.console.test_jobs_page import METADATA, config
from tests.support.console import KEYS, Visitor, serving
from tests.support.frames import frame
from tests.support.stored_videos import started, store

from onlooker.api.usage import Usage, path_of
from onlooker.config.schema import KEEP_ALL, Config, Match
from onlooker.record.frame_record import build
from onlooker.record.log.writer import Writer


def fill(folder: Path) -> None:
    with Usage(folder / "faces.db") as usage:
        for _ in range(2000):
            usage.count("DetectFaces")
        usage.count("ListFaces")
    with store(folder) as jobs:
        jobs.finish(started(jobs, "FaceSearch"), "SUCCEEDED", metadata=METADATA)
        jobs.finish(started(jobs), "FAILED", "no video")
    now = time.time() // 60 * 60  # all in one minute
    records = [build(frame("gate", n, started=now + n), Config(), "d") for n in range(3)]
    with Writer(folder / "records.db", KEEP_ALL) as log:
        log.append(records)


def test_the_bill_of_a_month(tmp_path: Path, page: Page) -> None:
    fill(tmp_path)
    searched = replace(config(tmp_path), match=Match(collection="staff"))
    with serving(tmp_path, config=config(tmp_path)) as url:
        assert "1 minute</td><td>not billed" in Visitor(url).get("/cost/table").text
    with serving(tmp_path, config=searched) as url:
        page.goto(f"{url}/cost")
        bill = page.locator(".bill")
        expect(bill.locator("tr", has_text="DetectFaces")).to_contain_text("2\u202f000 calls2.00")
        expect(bill.locator("tr", has_text="ListFaces")).to_contain_text("1 callnot billed")
        expect(bill.locator("tr", has_text="StartFaceSearch")).to_contain_text("1.5 minutes0.15")
        expect(bill.locator("tr", has_text="stream gate")).to_contain_text("1 minutenot confirmed")
        expect(bill.locator("tfoot")).to_contain_text("2.15")
        page.get_by_text("The prices, collected").click()
        expect(page.locator(".prices")).to_contain_text("0.001 up to 1 million a month")
        expect(page.locator(".prices")).to_contain_text("No such page confirmed a price of images")


def test_a_stream_that_a_key_does_not_reach_is_not_named(tmp_path: Path) -> None:
    fill(tmp_path)
    keys = {"VIEWER": replace(KEYS["VIEWER"], streams=("yard",)), "ADMIN": KEYS["ADMIN"]}
    with serving(tmp_path, keys, config(tmp_path)) as url:
        for id, names in (("VIEWER", False), ("ADMIN", True)):
            visitor = Visitor(url)
            visitor.sign_in(id)
            assert ("stream gate" in visitor.get("/cost/table").text) == names


def test_an_empty_month_and_one_that_is_none(tmp_path: Path) -> None:
    with serving(tmp_path, config=config(tmp_path)) as url:
        visitor = Visitor(url)
        assert "No call yet in this month" in visitor.get("/cost/table").text
        for month in ("1999-01", "x", "2026-13", "%27", "9" * 50):
            assert visitor.get(f"/cost/table?month={month}").status == 404


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    path_of(tmp_path / "faces.db").write_bytes(b"nonsense" * 100)
    with serving(tmp_path) as url:
        answer = Visitor(url).get("/cost")
    assert answer.status == 500
    assert "move the file away" in answer.text


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessible_and_as_wide_as_a_phone(tmp_path: Path, page: Page, scheme: str) -> None:
    fill(tmp_path)
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.set_viewport_size({"width": 375, "height": 700})
    with serving(tmp_path, config=config(tmp_path)) as url:
        page.goto(f"{url}/cost")
        expect(page.locator(".bill")).to_be_visible()
        page.get_by_text("The prices, collected").click()
        assert page.evaluate("document.documentElement.scrollWidth") <= 375
        found = Axe().run(page).response["violations"]
        assert [each for each in found if each["impact"] in ("serious", "critical")] == []
