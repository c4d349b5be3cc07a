"""The page that tries the API: the boxes, the answer and the call."""

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from numpy.typing import NDArray
from playwright.sync_api import Page, Route, expect
from tests.support.console import KEYS, Visitor, serving, settings

from onlooker.api.access_keys import Key
from onlooker.cli.demo_video import photographs
from onlooker.console.guard import MAX_BODY_BYTES
from onlooker.console.local_api import LocalApi

ASTRONAUT = photographs().astronaut


def jpeg(image: NDArray[np.uint8]) -> bytes:
    return bytes(cv2.imencode(".jpg", image)[1].tobytes())


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("try")
    api = LocalApi(settings(folder))
    image = {"Bytes": base64.b64encode(jpeg(ASTRONAUT)).decode()}
    named = {"CollectionId": "staff", "ExternalImageId": "eileen", "Image": image}
    api.answer(None, "CreateCollection", {"CollectionId": "staff"})
    api.answer(None, "IndexFaces", named)
    api.close()
    with serving(folder) as url:
        yield url


def upload(visitor: Visitor, data: bytes, file: str = "a.jpg", **fields: str) -> tuple[int, str]:
    """Send an image as the page does."""
    parts = [
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    head = f'--b\r\nContent-Disposition: form-data; name="image"; filename="{file}"\r\n\r\n'
    body = b"".join([*parts, head.encode(), data, b"\r\n--b--\r\n"])
    headers = {"Content-Type": "multipart/form-data; boundary=b", "X-CSRF-Token": visitor.token}
    answer = visitor.send("POST", "/try/run", body, headers)
    return answer.status, answer.text


def test_faces_text_and_a_search(url: str, page: Page, tmp_path: Path) -> None:
    photo = tmp_path / "<b>photo</b>.jpg".replace("/", "")
    photo.write_bytes(jpeg(ASTRONAUT))
    sign = tmp_path / "page.jpg"
    sign.write_bytes(jpeg(photographs().page))
    page.goto(f"{url}/try")
    page.locator("input[type=file]").set_input_files(photo)
    expect(page.locator(".tried polygon")).to_have_count(1, timeout=60_000)
    expect(page.locator(".findings")).to_contain_text("smiling")
    page.get_by_text("The answer").click()
    answer = json.loads(page.locator("pre").last.inner_text())
    # The box that is drawn is the answer's.
    box = answer["FaceDetails"][0]["BoundingBox"]
    places = [page.locator(f".tried {each}").bounding_box() for each in ("svg", "img")]
    assert places[0] == places[1]
    drawn = page.locator(".tried polygon").evaluate(
        "each => (({x, y, width, height}) => ({x, y, width, height}))(each.getBBox())"
    )
    for name, member in (("x", "Left"), ("y", "Top"), ("width", "Width"), ("height", "Height")):
        assert drawn[name] / 1000 == pytest.approx(box[member], abs=0.001)
    expect(page.locator("pre").first).to_contain_text("client.detect_faces(")
    expect(page.locator("pre").first).to_contain_text(f"open('{photo.name}'")
    page.get_by_label("What to do").select_option("SearchFacesByImage")
    expect(page.locator(".findings")).to_have_text(re.compile(r"eileen similarity (9\d|100)\."))
    page.locator("input[type=file]").set_input_files(sign)
    page.get_by_label("What to do").select_option("DetectText")
    expect(page.locator(".findings")).to_contain_text("Region-based segmentation", timeout=60_000)


CARRIED = """([kind, data]) => {
    const transfer = new DataTransfer();
    const file = new File([Uint8Array.from(data)], "a.jpg", { type: "image/jpeg" });
    if (kind === "file") transfer.items.add(file);
    else transfer.items.add("https://example.org/a.jpg", "text/uri-list");
    return ["dragenter", "dragover", "drop"].map((name) => {
        const how = { bubbles: true, cancelable: true, dataTransfer: transfer };
        const event = new DragEvent(name, how);
        document.querySelector("h1").dispatchEvent(event);
        return event.defaultPrevented;
    });
}"""
"""Drop something beside the zone; return whether the browser would open it for each event."""


def test_what_is_dropped_beside_the_zone_is_taken(url: str, page: Page) -> None:
    page.goto(f"{url}/try")
    assert page.evaluate(CARRIED, ["file", [*jpeg(ASTRONAUT)]])[1:] == [True, True]
    expect(page.locator(".tried polygon")).to_have_count(1, timeout=60_000)
    assert page.evaluate(CARRIED, ["link", []])[1:] == [True, True]
    expect(page.locator("#message")).to_contain_text("That is not a file")


def test_a_file_that_is_chosen_before_the_page_is_ready_is_not_lost(
    url: str, page: Page, tmp_path: Path
) -> None:
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(jpeg(ASTRONAUT))

    def late(route: Route) -> None:
        page.locator("input[type=file]").set_input_files(photo)
        route.continue_()

    page.route("**/htmx.min.js", late)
    page.goto(f"{url}/try")
    expect(page.locator(".tried polygon")).to_have_count(1, timeout=60_000)


def choose(page: Page, path: Path) -> None:
    """Choose a file as somebody does: nothing happens if it is the one that is chosen already."""
    with page.expect_file_chooser() as chooser:
        page.locator("input[type=file]").click()
    chooser.value.set_files(path)


def test_the_same_file_may_be_chosen_again(url: str, page: Page, tmp_path: Path) -> None:
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(jpeg(ASTRONAUT))
    page.goto(f"{url}/try")
    for _ in range(2):
        with page.expect_response("**/try/run"):
            choose(page, photo)
        expect(page.locator(".tried polygon")).to_have_count(1, timeout=60_000)
    chosen = page.locator("input[type=file]")
    with page.expect_file_chooser():
        chosen.click()
    assert chosen.evaluate("each => each.files.length") == 0
    chosen.evaluate("each => each.dispatchEvent(new Event('cancel'))")
    assert chosen.evaluate("each => each.files.length") == 1
    page.get_by_label("What to do").select_option("SearchFacesByImage")
    expect(page.locator(".findings")).to_contain_text("eileen")


def test_every_failure_is_told_and_stays(
    url: str, page: Page, tmp_path: Path, expected: list[str]
) -> None:
    expected += ["net::ERR_FAILED", "htmx:sendError", "htmx:afterRequest"]
    photo, large = tmp_path / "photo.jpg", tmp_path / "large.jpg"
    photo.write_bytes(jpeg(ASTRONAUT))
    large.write_bytes(bytes(MAX_BODY_BYTES))
    page.goto(f"{url}/try")
    trouble = page.locator("#try .trouble")
    choose(page, photo)
    expect(page.locator(".tried polygon")).to_have_count(1, timeout=60_000)
    choose(page, large)
    expect(trouble).to_have_text("large.jpg: 16.0 MB are too much; an upload has at most 15.9 MB")
    expect(page.locator(".tried")).to_have_count(0)  # what was found in another image
    page.route("**/try/run", lambda route: route.fulfill(status=409, body="weights of x: gone"))
    choose(page, photo)
    expect(trouble).to_have_text("weights of x: gone")
    page.unroute("**/try/run")
    page.route("**/try/run", lambda route: route.abort())
    choose(page, photo)
    expect(trouble).to_contain_text("It could not be sent.")
    page.unroute("**/try/run")
    choose(page, photo)
    expect(page.locator(".tried polygon")).to_have_count(1, timeout=60_000)
    expect(trouble).to_be_hidden()


def test_an_image_is_shown_upright_and_not_larger_than_needed(url: str) -> None:
    visitor = Visitor(url)
    visitor.get("/try")
    large = cv2.resize(ASTRONAUT, (2000, 2000))
    status, text = upload(visitor, jpeg(np.asarray(large, np.uint8)), operation="DetectFaces")
    assert status == 200
    assert 'width="1200" height="1200"' in text


@pytest.mark.parametrize(
    ("data", "operation", "said"),
    [
        (b"no image", "DetectFaces", "InvalidImageFormatException"),
        (
            jpeg(np.zeros((100, 100, 3), np.uint8)),
            "SearchFacesByImage",
            "InvalidParameterException",
        ),
        (jpeg(np.zeros((20, 20, 3), np.uint8)), "DetectFaces", "InvalidParameterException"),
    ],
)
def test_what_the_api_refuses_is_told_in_its_words(
    url: str, data: bytes, operation: str, said: str
) -> None:
    visitor = Visitor(url)
    visitor.get("/try")
    status, text = upload(visitor, data, operation=operation, collection="staff")
    assert status == 200
    assert said in text


def test_nonsense_is_refused(url: str) -> None:
    visitor = Visitor(url)
    visitor.get("/try")
    assert upload(visitor, b"", operation="DetectFaces")[0] == 400
    assert upload(visitor, b"x", operation="DeleteCollection")[0] == 400
    assert visitor.post("/try/run", {"operation": "DetectFaces", "image": "x"}).status == 400
    assert upload(visitor, b"\0" * (17 << 20), operation="DetectFaces")[0] == 413


def test_a_key_tries_what_it_may(tmp_path: Path) -> None:
    key = Key(
        id="READER",
        secret="a-secret-of-readers",
        user="r",
        operations=("console:View", "rekognition:DetectText"),
    )
    with serving(tmp_path, {"READER": key, "VIEWER": KEYS["VIEWER"]}) as url:
        reader = Visitor(url)
        reader.post("/sign-in", {"id": "READER", "secret": key.secret})
        assert re.findall(r'<option value="(\w+)"', reader.get("/try").text) == ["DetectText"]
        _, text = upload(reader, jpeg(ASTRONAUT), operation="DetectFaces")
        assert "AccessDeniedException" in text
        viewer = Visitor(url)
        viewer.sign_in("VIEWER")
        assert "Your key allows none" in viewer.get("/try").text


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessible_and_as_wide_as_a_phone(
    url: str, page: Page, scheme: str, tmp_path: Path
) -> None:
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(jpeg(ASTRONAUT))
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.set_viewport_size({"width": 375, "height": 700})
    page.goto(f"{url}/try")
    page.locator("#busy").evaluate("busy => busy.classList.add('htmx-request')")
    expect(page.locator("#busy")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 375, "while it looks"
    page.locator("input[type=file]").set_input_files(photo)
    expect(page.locator(".tried polygon")).to_have_count(1, timeout=60_000)
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    found = Axe().run(page).response["violations"]
    assert [each for each in found if each["impact"] in ("serious", "critical")] == []
