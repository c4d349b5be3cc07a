"""The page of jobs: their list, how far they are, and their end."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from msgspec.structs import replace
from playwright.sync_api import Page, expect
from tests.support.console import KEYS, Visitor, serving
from tests.support.stored_videos import TOPIC, started, store

from onlooker.api.access_keys import Key
from onlooker.config.jobs import Jobs
from onlooker.config.schema import Config
from onlooker.jobs.job import VideoMetadata

HOSTILE = "<script>alert(1)</script>.mp4"
METADATA = VideoMetadata(
    Codec="h264",
    DurationMillis=90_000,
    Format="QuickTime / MOV",
    FrameRate=30.0,
    FrameHeight=720,
    FrameWidth=1280,
    ColorRange="LIMITED",
)


def config(folder: Path) -> Config:
    return Config(jobs=Jobs(folder=str(folder / "jobs")), topics={TOPIC: "queue"})


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """A console with 120 jobs: the newest is open, one has failed, the others have succeeded."""
    with store(tmp_path, max_open=200) as jobs:
        for number in range(118):
            job = started(jobs, "FaceDetection", name=f"{number}.mp4")
            jobs.finish(job, "SUCCEEDED", metadata=METADATA, results=7)
        failed = started(jobs, "TextDetection", name=HOSTILE, tag=HOSTILE)
        jobs.finish(failed, "FAILED", f"{HOSTILE} cannot be opened")
        jobs.advance(started(jobs, "FaceSearch", collection="staff").id, 0.25, 30)
    with serving(tmp_path, config=config(tmp_path)) as url:
        yield url


def ids(text: str) -> list[str]:
    return re.findall(r'id="job-([^"]*)"', text)


def test_all_jobs_are_paged_without_a_gap(url: str, tmp_path: Path) -> None:
    visitor, after, seen = Visitor(url), "0", list[str]()
    while True:
        text = visitor.get(f"/jobs/rows?after={after}").text
        seen += ids(text)
        found = re.search(r"/jobs/rows\?after=(\d+)", text)
        if found is None:
            break
        after = found[1]
    with store(tmp_path) as jobs:
        assert seen == [job.id for job in jobs.jobs()]
    assert len(ids(visitor.get("/jobs/rows?show=failed").text)) == 1
    assert len(ids(visitor.get("/jobs/rows?show=open").text)) == 1
    assert len(ids(visitor.get("/jobs/rows?show=nonsense").text)) == 50


def test_an_empty_list_says_what_to_do_and_makes_no_file(tmp_path: Path) -> None:
    with serving(tmp_path, config=config(tmp_path)) as url:
        assert "No job yet" in Visitor(url).get("/jobs").text
        assert Visitor(url).get(f"/jobs/{'0' * 64}").status == 404
    assert not (tmp_path / "jobs").exists()


@pytest.mark.parametrize("path", ["/jobs/rows?after=-1", "/jobs/rows?after=x", "/jobs/..%2fetc"])
def test_nonsense_is_refused(url: str, path: str) -> None:
    assert Visitor(url).get(path).status in (400, 404)


def test_a_job_advances_ends_and_shows_its_call(url: str, tmp_path: Path, page: Page) -> None:
    page.goto(f"{url}/jobs")
    first = page.locator("li.visit").first
    expect(first.locator(".state")).to_contain_text("25 %")
    expect(first.get_by_role("button", name="Cancel")).to_be_visible()
    with store(tmp_path) as jobs:
        jobs.advance(jobs.jobs(1)[0].id, 0.75, 90)
        expect(first.locator(".state")).to_contain_text("75 %")
        first.locator("summary").click()
        expect(first.locator(".why")).to_contain_text("staff, from 80.0")
        jobs.finish(jobs.jobs(1)[0], "SUCCEEDED", metadata=METADATA, results=12)
    expect(first.locator(".state")).to_have_text(re.compile("succeeded: 12 results"))
    expect(first.get_by_role("button", name="Cancel")).to_be_hidden()
    second = page.locator("li.visit").nth(2)
    second.locator("summary").click()
    expect(second.locator("pre")).to_contain_text("client.get_face_detection(JobId='")
    expect(second.locator(".why")).to_contain_text("1280 × 720")


def test_a_job_is_cancelled(url: str, tmp_path: Path, page: Page) -> None:
    page.goto(f"{url}/jobs")
    first = page.locator("li.visit").first
    first.get_by_role("button", name="Cancel").click()
    expect(first.locator(".state")).to_contain_text("failed: The job was cancelled")
    with store(tmp_path) as jobs:
        assert jobs.jobs(1)[0].state == "FAILED"


def test_a_new_job_is_announced(url: str, tmp_path: Path, page: Page) -> None:
    page.goto(f"{url}/jobs")
    with store(tmp_path, max_open=200) as jobs:
        started(jobs, "PersonTracking")
    page.get_by_role("button", name="There are new jobs").click()
    expect(page.locator("li.visit .who").first).to_have_text("PersonTracking")
    expect(page.locator("#summary button")).to_have_count(0)


def test_hostile_names_are_text(url: str, page: Page) -> None:
    alerts: list[str] = []
    page.on("dialog", lambda dialog: alerts.append(dialog.message))
    page.goto(f"{url}/jobs?show=failed")
    row = page.locator("li.visit")
    expect(row.locator(".where")).to_have_text(f"films/{HOSTILE}")
    expect(row.locator(".state")).to_contain_text(f"{HOSTILE} cannot be opened")
    row.locator("summary").click()
    expect(row.locator(".facts")).to_contain_text(HOSTILE)
    assert alerts == []


def test_a_key_sees_and_cancels_only_its_own(tmp_path: Path) -> None:
    with store(tmp_path) as jobs:
        job = started(jobs, "FaceSearch", collection="staff")
    key = Key(id="OTHER", secret="a-secret-of-others", user="o", collections=("guests",))
    looks = replace(KEYS["VIEWER"], buckets=("films",))
    keys = {"OTHER": key, "VIEWER": looks}
    with serving(tmp_path, keys, config(tmp_path)) as url:
        other = Visitor(url)
        other.post("/sign-in", {"id": "OTHER", "secret": key.secret})
        assert ids(other.get("/jobs").text) == []
        assert other.get(f"/jobs/{job.id}").status == 404
        viewer = Visitor(url)
        viewer.sign_in("VIEWER")
        text = viewer.get("/jobs").text
        assert ids(text) == [job.id]
        assert "Cancel" not in text
        assert viewer.post(f"/jobs/{job.id}/cancel").status == 403
    with store(tmp_path) as jobs:
        assert jobs.find(job.id).state == "IN_PROGRESS"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessible_and_as_wide_as_a_phone(url: str, page: Page, scheme: str) -> None:
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.set_viewport_size({"width": 375, "height": 700})
    page.goto(f"{url}/jobs")
    page.locator("li.visit summary").nth(2).click()
    expect(page.locator(".why pre")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    found = Axe().run(page).response["violations"]
    assert [each for each in found if each["impact"] in ("serious", "critical")] == []
