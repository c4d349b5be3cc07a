"""Video of a camera in the browser's own player, and the boxes that belong to it."""

import io
import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import pytest
from av import VideoFrame
from msgspec.structs import replace
from playwright.sync_api import Page, expect
from tests.support.cameras import Http, Rtsp
from tests.support.console import serving
from tests.support.frame_records import FACE
from tests.support.processes import wait_until
from tests.support.watched_run import HEIGHT, WIDTH, WatchedRun, watched_run

from onlooker.config.schema import SourceConfig
from onlooker.console.smooth_video import NOT_H264, Beginning, Fragment, SmoothVideo, codec
from onlooker.media.errors import MediaError
from onlooker.stream.live_pictures import topic

FPS, CAMERA_WIDTH, CAMERA_HEIGHT = 10, 160, 120


class Steady(Rtsp):
    """A camera whose images come when their time stamps say, whatever the machine does."""

    def numbers(self, mood: str) -> Iterator[int]:
        began = time.monotonic()
        for number in itertools.count():
            if self._over.is_set():
                return
            time.sleep(max(0.0, began + number / self.fps - time.monotonic()))
            self.sent += 1
            yield number


@contextmanager
def remuxed(url: str) -> Iterator[tuple[list[Beginning | Fragment], list[str]]]:
    parts: list[Beginning | Fragment] = []
    ends: list[str] = []
    video = SmoothVideo(SourceConfig(url=url), parts.append, ends.append)
    video.start()
    try:
        yield parts, ends
    finally:
        video.stop()


def keys(parts: list[Beginning | Fragment]) -> list[int]:
    """Return the places of the key frames among the parts."""
    return [place for place, part in enumerate(parts) if isinstance(part, Fragment) and part.key]


def decoded(data: bytes) -> list[VideoFrame]:
    with av.open(io.BytesIO(data), "r") as container:
        return list(container.decode(video=0))


def test_the_fragments_are_a_video_that_begins_with_a_key_frame() -> None:
    with Rtsp("well", fps=FPS) as camera, remuxed(camera.url) as (parts, _):
        assert wait_until(lambda: len(parts) > 15, 60)
    beginning, *fragments = list(parts)
    assert isinstance(beginning, Beginning)
    assert beginning.codec.startswith("avc1.")
    assert isinstance(fragments[0], Fragment)
    assert fragments[0].key
    assert len(decoded(b"".join(part.data for part in parts))) >= len(fragments) - 1
    positions = [part.position for part in fragments if isinstance(part, Fragment)]
    assert positions == sorted(positions)
    times = [part.time for part in fragments if isinstance(part, Fragment)]
    assert all(abs(moment - time.time()) < 30 for moment in times)


def test_every_key_frame_is_marked_and_can_be_decoded_first() -> None:
    with Rtsp("well", fps=FPS) as camera, remuxed(camera.url) as (parts, _):
        assert wait_until(lambda: len(keys(parts)) >= 2, 60)
    last = keys(parts)[-1]
    first = decoded(parts[0].data + b"".join(part.data for part in parts[last:]))[0]
    assert first.key_frame


@pytest.mark.parametrize(
    ("mood", "words"), [("refused", "401"), ("missing", "404"), ("reset", "127.0.0.1")]
)
def test_why_it_ended_is_told_without_the_password(mood: str, words: str) -> None:
    with Rtsp(mood, password="secret") as camera, remuxed(camera.url) as (_, ends):
        assert wait_until(lambda: bool(ends), 60)
    assert "secret" not in ends[0]
    assert words in ends[0] or "nauthorized" in ends[0] or "not found" in ends[0].lower()


def test_a_camera_of_another_kind_says_so() -> None:
    with Http("well") as camera, remuxed(camera.url) as (_, ends):
        assert wait_until(lambda: bool(ends), 60)
    assert ends == [NOT_H264]
    with pytest.raises(MediaError, match=r"H\.264"):
        codec(b"ftyp moov")


def place(number: int) -> tuple[float, float, float, float]:
    """Return the box of the rectangle in image `number`, in pixels of the test's records."""
    left = number * 7 % (CAMERA_WIDTH - 20)
    x, y = WIDTH / CAMERA_WIDTH, HEIGHT / CAMERA_HEIGHT
    return (left * x, CAMERA_HEIGHT / 4 * y, (left + 20) * x, CAMERA_HEIGHT / 2 * y)


@contextmanager
def recorded(run: WatchedRun, camera: Rtsp) -> Iterator[None]:
    """Record each image that the camera sends, with a face at the rectangle in it."""
    stop = threading.Event()

    def follow() -> None:
        before = 0
        while not stop.wait(0.005):
            if camera.sent > before:
                before = camera.sent
                number = before - 1
                run.show("door", number, (replace(FACE, box=place(number)),), started=time.time())

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


FOUND = """() => {
    const video = document.querySelector("video"), copy = document.createElement("canvas");
    copy.width = 160; copy.height = 120;
    const pen = copy.getContext("2d");
    pen.drawImage(video, 0, 0, 160, 120);
    const row = pen.getImageData(0, 45, 160, 1).data;
    const bright = [...Array(160).keys()].filter((x) => row[4 * x] > 180);
    const boxes = document.querySelector(".boxes");
    const drawn = boxes.getContext("2d").getImageData(0, 0, boxes.width, boxes.height).data;
    const y = Math.round(boxes.height * 45 / 120);
    const edges = [...Array(boxes.width).keys()]
        .filter((x) => drawn[4 * (y * boxes.width + x) + 3] > 150);
    return {
        time: video.currentTime,
        rectangle: bright.length ? bright[0] : null,
        box: edges.length ? edges[0] / boxes.width * 160 : null,
    };
}"""


@pytest.mark.timeout(120)
def test_boxes_follow_the_video_by_time(tmp_path: Path, page: Page) -> None:
    with (
        Steady("well", fps=FPS, size=(CAMERA_WIDTH, CAMERA_HEIGHT)) as camera,
        watched_run("door", url=camera.url) as run,
        serving(tmp_path) as url,
        recorded(run, camera),
    ):
        page.goto(f"{url}/live")
        page.get_by_role("button", name="smooth").click()
        video = page.locator("video")
        expect(video).to_be_visible()
        for _ in range(300):
            if page.evaluate(FOUND)["time"] > 2:
                break
            page.wait_for_timeout(100)
        offsets = []
        began = page.evaluate(FOUND)["time"]
        for _ in range(40):
            found = page.evaluate(FOUND)
            if found["rectangle"] is not None and found["box"] is not None:
                offsets.append(found["box"] - found["rectangle"])
            page.wait_for_timeout(75)
        assert found["time"] - began > 1.5, "it plays"
        near = sorted(abs(offset) for offset in offsets)
        assert len(near) > 20
        assert near[len(near) // 2] <= 2 * 7 + 2, f"within two frames: {offsets}"
        page.get_by_role("button", name="smooth").click()
        expect(video).to_have_count(0)
        expect(page.locator("#tile-door.on")).to_be_visible()


def test_a_video_that_fails_gives_the_frames_back(tmp_path: Path, page: Page) -> None:
    with (
        Http("well") as camera,
        watched_run("door", url=camera.url) as run,
        serving(tmp_path) as url,
    ):
        page.goto(f"{url}/live")
        page.get_by_role("button", name="smooth").click()
        expect(page.locator("#message")).to_contain_text("does not send H.264")
        expect(page.get_by_role("button", name="smooth")).to_have_attribute("aria-pressed", "false")
        assert wait_until(lambda: run.watched(topic("door", "picture")), 60)
        run.show("door", 1)
        expect(page.locator("#tile-door.on")).to_be_visible()
