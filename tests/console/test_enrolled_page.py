"""The page of enrolled people: photographs that are dropped, and the list of a collection."""

import re
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from numpy.typing import NDArray
from playwright.sync_api import Page, expect
from tests.support.console import KEYS, Visitor, serving

from onlooker.cli.demo_video import photographs
from onlooker.console.guard import MAX_BODY_BYTES
from onlooker.identity.faces import NewFace
from onlooker.identity.search.engines import open_searcher
from onlooker.models.card import space

SPACE = space("mobilefacenet")
HOSTILE = "<img src=x onerror=alert(1)>"
NUMBER = 250


def jpeg(image: NDArray[np.uint8]) -> bytes:
    return bytes(cv2.imencode(".jpg", image)[1].tobytes())


def fill(folder: Path, *names: str) -> None:
    """Put people into the collection "staff"."""
    with open_searcher(folder / "faces.db", SPACE) as searcher:
        searcher.create_collection("staff")
        random = np.random.default_rng(1)
        faces = []
        for name in names:
            vector = random.normal(size=SPACE.dim)
            unit = np.asarray(vector / np.linalg.norm(vector), np.float32)
            faces.append(
                NewFace(
                    picture=name.encode(),
                    external_image_id=name,
                    box=(0.1, 0.1, 0.2, 0.2),
                    confidence=99.0,
                    vector=unit,
                )
            )
        searcher.add("staff", faces)


def stored(folder: Path, collection: str = "staff") -> list[str | None]:
    with open_searcher(folder / "faces.db", SPACE) as searcher:
        return [face.external_image_id for face in searcher.faces(collection).faces]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("enrolled")
    fill(made, *(f"person-{each:04d}" for each in range(NUMBER)))
    return made


@pytest.fixture(scope="module")
def url(folder: Path) -> Iterator[str]:
    with serving(folder) as url:
        yield url


def upload(visitor: Visitor, image: bytes, file: str, **fields: str) -> tuple[int, str]:
    """Send a photograph as the page does."""
    parts = [
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    head = f'--b\r\nContent-Disposition: form-data; name="image"; filename="{file}"\r\n\r\n'
    body = b"".join([*parts, head.encode(), image, b"\r\n--b--\r\n"])
    headers = {"Content-Type": "multipart/form-data; boundary=b", "X-CSRF-Token": visitor.token}
    answer = visitor.send("POST", "/people/enrolled/add", body, headers)
    return answer.status, answer.text


def test_everybody_is_listed_once(url: str) -> None:
    visitor, after, seen = Visitor(url), "", list[str]()
    while True:
        text = visitor.get(f"/people/enrolled/rows?collection=staff&after={after}").text
        seen += re.findall(r"data-key>(person-\d+)", text)
        found = re.search(r'"after": ?"([^"]*)"', text)
        if found is None:
            break
        after = found[1]
    assert seen == [f"person-{each:04d}" for each in range(NUMBER)]
    assert visitor.get("/people/enrolled/rows?find=PERSON-0007").text.count("data-key") == 1


def test_photographs_are_dropped(url: str, folder: Path, page: Page, tmp_path: Path) -> None:
    portrait = tmp_path / "Eileen Collins.jpg"
    portrait.write_bytes(jpeg(photographs().astronaut))
    nobody = tmp_path / f"{HOSTILE.replace('/', '')}.jpg"
    nobody.write_bytes(jpeg(photographs().page))
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    alerts: list[str] = []
    page.on("dialog", lambda dialog: alerts.append(dialog.message))
    page.goto(f"{url}/people/enrolled")
    page.get_by_label("Collection", exact=True).last.fill("people")
    page.locator("#enrol input[type=file]").set_input_files([portrait, nobody, broken])
    outcomes = page.locator("#outcomes li")
    expect(outcomes).to_have_count(3, timeout=60_000)
    expect(outcomes.nth(2)).to_have_text("Eileen Collins.jpg: added to people as Eileen Collins")
    expect(outcomes.nth(1)).to_have_text(f"{nobody.name}: not added: no face found")
    expect(outcomes.nth(0)).to_contain_text("broken.png: not added: ")
    assert stored(folder, "people") == ["Eileen::Collins"]
    assert alerts == []


def test_enter_in_a_field_and_a_file_that_is_too_large(
    folder: Path, page: Page, tmp_path: Path
) -> None:
    large = tmp_path / "large.jpg"
    large.write_bytes(bytes(MAX_BODY_BYTES))
    with serving(folder) as url:
        page.goto(f"{url}/people/enrolled")
        page.locator("#enrol").get_by_label("Name").fill("Ada")
        page.keyboard.press("Enter")
        page.locator("#enrol input[type=file]").set_input_files(large)
        expect(page.locator("#outcomes li")).to_contain_text("large.jpg: 16.0 MB are too much")
        expect(page.locator("#enrol").get_by_label("Name")).to_have_value("Ada")
        assert page.url == f"{url}/people/enrolled"


def test_a_person_is_removed(tmp_path: Path, page: Page) -> None:
    fill(tmp_path, "ada", "bert")
    with serving(tmp_path) as url:
        page.goto(f"{url}/people/enrolled")
        page.on("dialog", lambda dialog: dialog.accept())
        page.get_by_role("button", name="Remove ada").click()
        expect(page.locator("#done")).to_have_text("ada: 1 face removed.")
        expect(page.locator("#rows li")).to_have_count(1)
        assert stored(tmp_path) == ["bert"]


def test_what_is_refused(url: str) -> None:
    visitor, image = Visitor(url), jpeg(photographs().astronaut)
    visitor.get("/people/enrolled")
    assert upload(visitor, image, "a.jpg", collection="_unknown")[0] == 400
    assert upload(visitor, image, "a.jpg", collection="no/such")[0] == 409
    assert upload(visitor, image, "a.jpg", collection="staff", name="x" * 101)[0] == 400
    assert upload(visitor, b"\0" * (17 << 20), "a.jpg", collection="staff")[0] == 413
    assert visitor.post("/people/enrolled/add", {"collection": "staff"}).status == 400
    removed = {"collection": "_unknown", "person": "unknown-000001"}
    assert visitor.post("/people/enrolled/remove", removed).status == 404


def test_who_may_only_look_changes_nothing(folder: Path) -> None:
    with serving(folder, KEYS) as url:
        viewer = Visitor(url)
        viewer.sign_in("VIEWER")
        page = viewer.get("/people/enrolled")
        assert page.status == 200
        assert "Drop photographs" not in page.text.replace("Drop photographs above", "")
        assert "Remove person" not in page.text
        assert upload(viewer, b"", "a.jpg", collection="staff")[0] == 403
        removed = {"collection": "staff", "person": "person-0001"}
        assert viewer.post("/people/enrolled/remove", removed).status == 403


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessible_and_as_wide_as_a_phone(url: str, page: Page, scheme: str) -> None:
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.set_viewport_size({"width": 375, "height": 700})
    page.goto(f"{url}/people/enrolled")
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    found = Axe().run(page).response["violations"]
    assert [each for each in found if each["impact"] in ("serious", "critical")] == []
