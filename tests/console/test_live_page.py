"""The page of live streams: each box on its own frame, and nothing for nobody."""

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace
from playwright.sync_api import Page, expect
from tests.support.appearances import match
from tests.support.console import KEYS, Visitor, serving
from tests.support.frame_records import FACE, LINE
from tests.support.processes import wait_until
from tests.support.watched_run import BOX, HEIGHT, WIDTH, WatchedRun, watched_run
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from onlooker.config.schema import Config, SourceConfig
from onlooker.config.schema import Match as MatchSection
from onlooker.console.run_observer import RunObserver
from onlooker.escape import PEOPLE
from onlooker.stream import run_directory
from onlooker.stream.feeds import Feed
from onlooker.stream.live_pictures import topic
from onlooker.stream.messages import Counts, StreamStatus

PICTURE = topic("door", "picture")
READ = """() => {
    const tile = document.getElementById("tile-door");
    const at = (canvas, x, y) => [...canvas.getContext("2d").getImageData(
        Math.round(x * canvas.width), Math.round(y * canvas.height), 1, 1).data];
    const [left, top, right, bottom] = BOX;
    const middle = [(left + right) / 2, (top + bottom) / 2];
    const boxes = tile.querySelector(".boxes"), picture = tile.querySelector(".picture");
    return {
        index: Number(tile.dataset.index ?? -1),
        shade: at(picture, 0.95, 0.95)[0],
        inside: at(picture, ...middle)[0],
        edges: [[left, middle[1]], [right, middle[1]], [middle[0], bottom]]
            .map((p) => at(boxes, ...p)[3]),
        empty: at(boxes, ...middle)[3],
    };
}""".replace("BOX", str([BOX[0] / WIDTH, BOX[1] / HEIGHT, BOX[2] / WIDTH, BOX[3] / HEIGHT]))


@contextmanager
def shown(run: WatchedRun) -> Iterator[None]:
    """Show a frame with a face at BOX ten times a second; its shade tells its index."""
    stop = threading.Event()

    def frames() -> None:
        index = 0
        while not stop.wait(0.1):
            index += 1
            run.show("door", index, (replace(FACE, box=BOX),), shade=index % 20 * 10)

    thread = threading.Thread(target=frames, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_without_cameras_the_page_says_what_to_do(tmp_path: Path) -> None:
    with serving(tmp_path) as url:
        text = Visitor(url).get("/live").text
    assert "No camera yet" in text
    assert "onlooker.toml" in text


@pytest.mark.parametrize(
    ("finished", "words"), [(False, "waiting for an image"), (True, "The video has ended")]
)
def test_a_tile_without_an_image_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, finished: bool, words: str
) -> None:
    status = StreamStatus(
        name="door",
        counts=Counts(),
        source="source-0.1",
        in_flight=0,
        frames=None,
        finished=finished,
        error=None,
        seconds=0.0,
    )
    monkeypatch.setattr(RunObserver, "stream", lambda self, name: status)
    with watched_run("door"), serving(tmp_path) as url:
        assert wait_until(lambda: "tile-door" in Visitor(url).get("/live").text, 60)
        assert f'<p class="wait" id="wait-door">{words}' in Visitor(url).get("/live").text
        later = Visitor(url).get("/live/health?shown=door").text
        assert f'<p class="wait" id="wait-door" hx-swap-oob="morph">{words}' in later


def test_a_box_is_drawn_on_its_own_frame(tmp_path: Path, page: Page) -> None:
    with watched_run("door") as run, serving(tmp_path) as url, shown(run):
        page.goto(f"{url}/live")
        expect(page.locator("#tile-door.on")).to_be_visible()
        seen = set()
        for _ in range(30):
            found = page.evaluate(READ)
            seen.add(found["index"])
            assert abs(found["shade"] - found["index"] % 20 * 10) <= 4, "the frame of its record"
            assert found["inside"] > 245
            assert all(edge > 100 for edge in found["edges"]), "the box is round the rectangle"
            assert found["empty"] == 0
            page.wait_for_timeout(50)
        assert len(seen) > 5
        page.get_by_label("faces").uncheck()
        assert not any(page.evaluate(READ)["edges"]), "the clean picture"
        page.reload()
        expect(page.get_by_label("faces")).not_to_be_checked()


def test_images_are_made_only_while_somebody_looks(tmp_path: Path, page: Page) -> None:
    with watched_run("door", "yard") as run, serving(tmp_path) as url, shown(run):
        assert not run.watched(PICTURE)
        page.goto(f"{url}/live")
        assert wait_until(lambda: run.watched(PICTURE), 60)
        page.goto(f"{url}/streams")
        assert wait_until(lambda: not run.watched(PICTURE), 60)


def test_names_and_texts_are_told_in_words_too(tmp_path: Path, page: Page) -> None:
    hostile = "<img src=x onerror=alert(1)>"
    face = replace(FACE, identities=(match(PEOPLE.encode("Ada Lovelace")),))
    other = replace(FACE, identities=(match(PEOPLE.encode(hostile)),))
    with watched_run("door") as run, serving(tmp_path) as url:
        page.goto(f"{url}/live")
        assert wait_until(lambda: run.watched(PICTURE), 60)
        run.show("door", 1, (face, other, FACE), (replace(LINE, text="Exit"),))
        boxes = page.locator("#tile-door .boxes")
        expect(boxes).to_have_attribute(
            "aria-label", f"door: Ada Lovelace, {hostile}, unknown, Exit"
        )
        expect(page.locator("#tile-door .caption")).to_have_text(
            f"Ada Lovelace, {hostile}, unknown"
        )


def test_two_browsers_see_the_same(tmp_path: Path, page: Page) -> None:
    with watched_run("door") as run, serving(tmp_path) as url, shown(run):
        other = page.context.new_page()
        for each in (page, other):
            each.goto(f"{url}/live")
        for each in (page, other):
            each.bring_to_front()
            expect(each.locator("#tile-door.on")).to_be_visible()


def _frames(url: str, wanted: object, seconds: float = 5.0, **headers: str) -> list[object]:
    """Return the overlays of the frames that a socket gets in some seconds."""
    found: list[object] = []
    end = time.monotonic() + seconds
    with connect(f"{url.replace('http', 'ws')}/socket", additional_headers=headers) as socket:
        socket.send(msgspec.json.encode(wanted).decode())
        while (left := end - time.monotonic()) > 0 and len(found) < 5:
            try:
                message = socket.recv(left)
            except TimeoutError:
                break
            assert isinstance(message, bytes)
            length = int.from_bytes(message[:4], "big")
            found.append(msgspec.json.decode(message[4 : 4 + length]))
    return found


def _frames_come(socket: ClientConnection) -> bool:
    """Return whether a frame comes within a second, of ten that are shown."""
    while True:
        try:
            socket.recv(0)
        except TimeoutError:
            break
    try:
        socket.recv(1)
    except TimeoutError:
        return False
    return True


def _cookie(visitor: Visitor) -> str:
    return "; ".join(f"{name}={value}" for name, value in visitor.cookies.items())


def test_a_stream_that_a_key_does_not_reach_is_not_sent(tmp_path: Path) -> None:
    config = Config(match=MatchSection(collection="staff"))
    keys = {"VIEWER": replace(KEYS["VIEWER"], collections=("guests",))}
    with (
        watched_run("door", config=config) as run,
        serving(tmp_path, keys, config) as url,
        shown(run),
    ):
        visitor = Visitor(url)
        visitor.sign_in("VIEWER")
        assert "tile-door" not in visitor.get("/live").text
        assert _frames(url, {"streams": {"door": "frames"}}, 1, Cookie=_cookie(visitor)) == []


def test_a_stream_that_gets_another_collection_is_sent_no_more(tmp_path: Path) -> None:
    keys = {"VIEWER": replace(KEYS["VIEWER"], collections=("guests",))}
    source = SourceConfig(url="test://moving", policy="live", collection="guests")
    with watched_run("door") as run, serving(tmp_path, keys) as url, shown(run):
        run_directory.write_feed(run.run, Feed(stream="door", source=source, number=0))
        visitor = Visitor(url)
        visitor.sign_in("VIEWER")
        assert wait_until(lambda: "tile-door" in visitor.get("/live").text, 60)
        address, cookie = f"{url.replace('http', 'ws')}/socket", _cookie(visitor)
        with connect(address, additional_headers={"Cookie": cookie}) as socket:
            socket.send('{"streams": {"door": "frames"}}')
            socket.recv(10)
            staff = replace(source, collection="staff")
            run_directory.write_feed(run.run, Feed(stream="door", source=staff, number=0))
            assert wait_until(lambda: not _frames_come(socket), 60)


@pytest.mark.parametrize(
    "nonsense",
    [
        *("", "{", "[]", '{"streams": 1}', '{"streams": {"door": "all"}}', "[" * 10_000, "\0"),
        '{"x": ' + "[" * 10_000,
        b"{}",
    ],
    ids=range(9),
)
def test_nonsense_ends_the_socket_alone(
    tmp_path: Path, nonsense: str | bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(tmp_path) as url:
        visitor = Visitor(url)
        visitor.get("/live")
        address = f"{url.replace('http', 'ws')}/socket"
        with connect(address, additional_headers={"Cookie": _cookie(visitor)}) as socket:
            socket.send(nonsense)
            with pytest.raises(ConnectionClosed):
                socket.recv(60)
        assert visitor.get("/live").status == 200
    assert caplog.records == []


def test_one_who_does_not_read_gets_the_newest_frame(tmp_path: Path) -> None:
    with watched_run("door") as run, serving(tmp_path) as url:
        visitor = Visitor(url)
        visitor.get("/live")
        address = f"{url.replace('http', 'ws')}/socket"
        with connect(address, additional_headers={"Cookie": _cookie(visitor)}) as socket:
            socket.send('{"streams": {"door": "frames"}}')
            assert wait_until(lambda: run.watched(PICTURE), 60)
            for index in range(300):
                run.show("door", index)
                time.sleep(0.001)
            indexes: list[int] = []
            while not indexes or indexes[-1] != 299:
                message = socket.recv(10)
                assert isinstance(message, bytes)
                length = int.from_bytes(message[:4], "big")
                indexes.append(msgspec.json.decode(message[4 : 4 + length])["index"])
        assert indexes == sorted(indexes)
        assert not math.isnan(indexes[-1])
