"""A video that has ended, played again on the page of live streams."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import av
import numpy as np
import pytest
from msgspec.structs import replace
from playwright.sync_api import Page, expect
from tests.support.console import Visitor, serving
from tests.support.frame_records import FACE
from tests.support.frames import frame
from tests.support.processes import wait_until
from tests.support.watched_run import watched_run

from onlooker.config.schema import KEEP_ALL, Config
from onlooker.console import page_socket, replayed_video
from onlooker.console.run_observer import RunObserver
from onlooker.media.open import open_video
from onlooker.record.frame_record import build
from onlooker.record.log.writer import Writer
from onlooker.stream.messages import Counts, StreamStatus

WIDTH, HEIGHT, FRAMES, RATE = 320, 180, 60, 20
READ = """() => {
    const tile = document.getElementById("tile-film");
    const at = (canvas, x, y) => [...canvas.getContext("2d").getImageData(
        Math.round(x * canvas.width), Math.round(y * canvas.height), 1, 1).data];
    const index = Number(tile.dataset.index ?? -1);
    return {
        index,
        shade: at(tile.querySelector(".picture"), 0.95, 0.5)[0],
        edge: at(tile.querySelector(".boxes"), (10 + index) / WIDTH, 0.5)[3],
    };
}""".replace("WIDTH", str(WIDTH))
SHOWN = "Number(document.getElementById('tile-film').dataset.index)"
OVER = StreamStatus(
    name="film",
    counts=Counts(),
    source="source-0.1",
    in_flight=0,
    frames=FRAMES,
    finished=True,
    error=None,
    seconds=0.0,
)


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video whose frames have their number in their shade."""
    path = tmp_path_factory.mktemp("video") / "film.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", RATE)  # not one that browsers play
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(FRAMES):
            image = np.full((HEIGHT, WIDTH, 3), 20 + 3 * number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, "bgr24")))
        container.mux(stream.encode())
    return path


@pytest.fixture
def url(tmp_path: Path, video: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A console whose stream "film" has ended; a face moves one pixel a frame to the right."""
    with open_video(str(video)) as opened:
        stamps = [(each.pts, each.time_base) for each, _ in opened.frames("film")]
    made = [
        replace(
            frame("film", index, width=WIDTH, height=HEIGHT, pts=pts, time_base=base),
            faces=(replace(FACE, box=(10.0 + index, 20.0, 200.0 + index, 160.0)),),
        )
        for index, (pts, base) in enumerate(stamps)
    ]
    with Writer(tmp_path / "records.db", KEEP_ALL) as log:
        log.append([build(each, Config(), "d") for each in made])
    monkeypatch.setattr(RunObserver, "stream", lambda self, name: OVER)
    with watched_run("film", url=str(video), policy="every"), serving(tmp_path) as url:
        assert wait_until(lambda: "tile-film" in Visitor(url).get("/live").text, 60)
        yield url


def test_each_frame_has_its_own_boxes_and_the_end_is_the_end(url: str, page: Page) -> None:
    page.goto(f"{url}/live")
    button = page.get_by_role("button", name="play again")
    button.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#tile-film.on")).to_be_visible()
    indexes: list[int] = []
    while button.get_attribute("aria-pressed") == "true":
        found = page.evaluate(READ)
        if not indexes or found["index"] != indexes[-1]:
            indexes.append(found["index"])
            assert abs(found["shade"] - (20 + 3 * found["index"])) <= 4, "the frame of its record"
            assert found["edge"] > 100, "the box of its record"
        page.wait_for_timeout(40)
    assert indexes == sorted(indexes)
    assert len(indexes) > 2
    page.wait_for_function(f"{SHOWN} > {FRAMES - 5}")
    expect(button).to_be_focused()  # though its place was fetched again meanwhile
    button.click()
    expect(button).to_have_attribute("aria-pressed", "true")
    expect(button).to_have_css("color", "rgb(255, 255, 255)")
    expect(button).to_have_css("background-color", "rgb(1, 114, 173)")  # under the mouse, too
    page.wait_for_function(f"{SHOWN} < {FRAMES // 2}")
    button.click()
    expect(button).to_have_attribute("aria-pressed", "false")
    assert wait_until(lambda: replayed_video._free._value == replayed_video.MAX_AT_ONCE, 60)


def test_the_end_reaches_a_page_whose_queue_is_full(
    url: str, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_socket, "MAX_PARTS", 0)
    page.goto(f"{url}/live")
    button = page.get_by_role("button", name="play again")
    button.click()
    expect(button).to_have_attribute("aria-pressed", "true")
    expect(button).to_have_attribute("aria-pressed", "false")


def test_a_video_that_has_ended_is_no_alarm(url: str, page: Page) -> None:
    ground = "each => getComputedStyle(each).backgroundColor"
    for path, place in (("live", "#health-film"), ("streams", "#stream-film")):
        page.goto(f"{url}/{path}")
        assert page.locator(place).evaluate(ground) in ("rgba(0, 0, 0, 0)", "rgb(255, 255, 255)")


def test_too_many_at_once_are_refused_in_words(url: str, page: Page) -> None:
    page.goto(f"{url}/live")
    with ExitStack() as taken:
        for _ in range(replayed_video.MAX_AT_ONCE):
            taken.enter_context(replayed_video._free)
        page.get_by_role("button", name="play again").click()
        expect(page.locator("#message")).to_contain_text("are played at once already")
    expect(page.get_by_role("button", name="play again")).to_have_attribute("aria-pressed", "false")


def test_a_video_that_has_gone_is_told(url: str, video: Path, page: Page) -> None:
    page.goto(f"{url}/live")
    away = video.rename(video.with_suffix(".away"))
    try:
        page.get_by_role("button", name="play again").click()
        expect(page.locator("#message")).to_contain_text("film: ")
    finally:
        away.rename(video)


def test_a_camera_is_not_played_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RunObserver, "stream", lambda self, name: OVER)
    with watched_run("film", url="rtsp://192.0.2.7/"), serving(tmp_path) as url:
        assert wait_until(lambda: "tile-film" in Visitor(url).get("/live").text, 60)
        assert "play again" not in Visitor(url).get("/live").text
