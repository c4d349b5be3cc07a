"""Cameras over real connections, and their faults."""

import os
import re
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av
import numpy as np
import pytest
from tests.support import cameras, films

from onlooker.config.schema import SourceConfig
from onlooker.media.camera import STILL_SECONDS, Camera, CameraFrame
from onlooker.media.errors import MediaError


def receive(url: str, number: int, **settings: object) -> tuple[list[CameraFrame], str]:
    """Return at most `number` frames of one connection, and why it ended."""
    found: list[CameraFrame] = []
    camera = Camera("door", SourceConfig(url=url, policy="live", **settings))  # type: ignore[arg-type]
    try:
        for frame in camera.connect():
            found.append(frame)
            if len(found) == number:
                return found, "enough"
    except MediaError as error:
        return found, str(error)
    raise AssertionError("a camera's connection does not just end")


def url_of(kind: str, camera: cameras.Http | cameras.Rtsp) -> str:
    if kind == "ts":
        assert isinstance(camera, cameras.Http)
        return camera.ts
    return camera.url


KINDS: dict[str, type[cameras.Http] | type[cameras.Rtsp]] = {
    "mjpeg": cameras.Http,
    "ts": cameras.Http,
    "rtsp": cameras.Rtsp,
}


@pytest.mark.parametrize("kind", ["mjpeg", "ts", "rtsp"])
def test_frames_are_on_our_clock(kind: str) -> None:
    with KINDS[kind]("well") as camera:
        before = time.time()
        found, _ = receive(url_of(kind, camera), 12)
    frames = [shot.frame for shot in found]
    assert [frame.index for frame in frames] == list(range(12))
    assert all(
        frame.error is None and shot.planes for frame, shot in zip(frames, found, strict=True)
    )
    assert len({frame.epoch for frame in frames}) == 1
    assert before <= frames[0].started <= time.time()
    times = [frame.time for frame in frames]
    assert times == sorted(times)
    assert 0.2 < times[-1] - times[0] < 2
    assert {(frame.width, frame.height) for frame in frames} == {(160, 120)}
    fragments = [frame.fragment for frame in frames]
    assert fragments == sorted(fragments)
    assert all(frame.fragment <= frame.index for frame in frames)


@pytest.mark.parametrize("kind", ["mjpeg", "ts", "rtsp"])
def test_the_first_image_comes_soon(kind: str) -> None:
    """libav would look at twenty images first, for the frame rate, and at seven for their order."""
    with KINDS[kind]("well", fps=5) as camera:
        found, _ = receive(url_of(kind, camera), 1)
        assert camera.sent <= 7
    assert found[0].planes is not None


def test_a_camera_is_deinterlaced(tmp_path: Path) -> None:
    greys = np.random.default_rng(1).permutation(24) * 8 + 30
    flashes = [np.full((96, 128, 3), grey, np.uint8) for grey in greys]
    path = films.write(
        tmp_path / "video.ts",
        images=films.interlaced(flashes),
        options={"x264-params": "tff=1:interlaced=1"},
    )
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/{path.name}"
        for mode, woven in (("auto", False), ("off", True)):
            found, _ = receive(url, 8, deinterlace=mode)
            for shot in found:
                assert shot.planes is not None
                lines = shot.planes.y.astype(int)
                assert (np.abs(np.diff(lines, axis=0)).mean() > 5) == woven
        server.shutdown()


@pytest.mark.parametrize(
    ("kind", "mood", "frames", "cause"),
    [
        ("mjpeg", "reset", 6, "Connection reset by peer"),
        ("mjpeg", "brief", 20, "the connection failed, or was closed"),
        ("mjpeg", "stall", 6, "no data for 1 s"),
        ("mjpeg", "garbage", 6, ""),
        ("mjpeg", "refused", 0, r"the user name or password is wrong \(401\)"),
        ("mjpeg", "missing", 0, "404 Not Found"),
        ("ts", "reset", 2, "Connection reset by peer"),
        ("ts", "stall", 2, "no data for 1 s"),
        ("rtsp", "brief", 20, "the stream has ended"),
        ("rtsp", "reset", 6, ""),
        ("rtsp", "stall", 5, "no data for 1 s"),
        ("rtsp", "garbage", 6, ""),
        ("rtsp", "refused", 0, r"the user name or password is wrong \(401\)"),
        ("rtsp", "missing", 0, "404 Not Found"),
    ],
)
def test_every_end_has_its_cause_and_no_secret(
    kind: str, mood: str, frames: int, cause: str
) -> None:
    with KINDS[kind](mood) as camera:
        began = time.monotonic()
        found, why = receive(url_of(kind, camera), 100, timeout=1)
    assert len(found) >= frames
    assert time.monotonic() - began < 6
    assert re.search(cause, why)
    for secret in ("geheim", "admin", "user:", "abc"):
        assert secret not in why


@pytest.mark.parametrize("kind", ["mjpeg", "rtsp"])
def test_damaged_images_are_frames_without_one(kind: str) -> None:
    with KINDS[kind]("damaged") as camera:
        found, why = receive(url_of(kind, camera), 30)
    assert why == "enough"
    bad = [shot for shot in found if shot.frame.error is not None]
    assert len(bad) >= 2
    assert all(shot.planes is None for shot in bad)


@pytest.mark.parametrize("kind", ["mjpeg", "rtsp"])
def test_the_size_may_change(kind: str) -> None:
    with KINDS[kind]("larger") as camera:
        found, _ = receive(url_of(kind, camera), 15)
    sizes = [(shot.frame.width, shot.frame.height) for shot in found]
    assert sizes[0] == (160, 120)
    assert sizes[-1] == (320, 240)
    planes = found[-1].planes
    assert planes is not None
    assert (planes.width, planes.height) == (320, 240)


def test_time_stamps_that_jump_are_corrected() -> None:
    with cameras.Rtsp("jumpy") as camera:
        found, why = receive(camera.url, 60)
    assert why == "enough"
    times = [shot.frame.time for shot in found]
    assert times == sorted(times)
    assert times[-1] < 10
    assert not any(shot.stale for shot in found)


def test_rtsp_by_udp() -> None:
    with cameras.Rtsp("well") as camera:
        found, why = receive(camera.url, 30, transport="udp")
    assert why == "enough"
    assert all(shot.planes is not None for shot in found)


def test_losses_of_udp_are_recorded() -> None:
    with cameras.Rtsp("lossy") as camera:
        found, why = receive(camera.url, 40, transport="udp")
    assert why == "enough"
    assert [shot.frame.index for shot in found] == list(range(40))
    whole = [shot for shot in found if shot.frame.error is None]
    assert 10 <= len(whole) < 40


def test_udp_without_data_times_out() -> None:
    with cameras.Rtsp("stall") as camera:
        found, why = receive(camera.url, 30, transport="udp", timeout=1)
    assert len(found) >= 5
    assert why.endswith(": no data for 1 s")


def test_a_password_is_accepted_or_refused() -> None:
    with cameras.Rtsp("well", password="geheim") as camera:
        assert receive(camera.url, 3)[1] == "enough"
        assert "401" in receive(camera.url.replace("geheim", "falsch"), 3)[1]


def test_what_is_no_camera_is_told_in_words() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        found, why = receive(f"rtsp://user:geheim@127.0.0.1:{server.server_port}/1", 1)
        server.shutdown()
    assert found == []
    assert "is no video; check the port and the path" in why
    assert "geheim" not in why


def test_a_refused_connection() -> None:
    found, why = receive("http://127.0.0.1:9/video", 1, timeout=1)
    assert not found
    assert why == "http://127.0.0.1:9/...: Connection refused"


def test_frames_are_sampled_and_cropped() -> None:
    with cameras.Http("well", fps=50) as camera:
        found, _ = receive(camera.url, 6, fps=10, region=(0.5, 0.0, 0.5, 0.5))
    times = [shot.frame.time for shot in found]
    assert 0.4 < times[-1] - times[0] < 2
    planes = found[0].planes
    assert planes is not None
    assert (planes.width, planes.height) == (80, 60)
    assert found[0].frame.origin == (80, 0)
    assert (found[0].frame.width, found[0].frame.height) == (160, 120)


def test_connections_leave_no_descriptor() -> None:
    with cameras.Http("reset", fps=200) as camera:
        receive(camera.url, 100)
        before = cameras.descriptors()
        for _ in range(10):
            receive(camera.url, 100)
        # The camera's own end of the last connection may close a little later.
        end = time.monotonic() + 10
        while (now := cameras.descriptors()) > before and time.monotonic() < end:
            time.sleep(0.01)
        assert now <= before


def test_a_synthetic_video_plays_as_a_camera(tmp_path: Path) -> None:
    source = SourceConfig(url="test://frozen?fps=50", policy="live", frozen_timeout=0.5)
    with pytest.raises(MediaError, match=r"frozen for 0\.5 s"):
        for _ in Camera("door", source).connect():
            pass
    finite = SourceConfig(url="test://moving?fps=100&frames=7", policy="live")
    assert len(list(Camera("door", finite).connect())) == 7
    assert os.listdir(tmp_path) == []


def test_hls_is_paced(tmp_path: Path) -> None:
    """Segments of a second each arrive all at once: no frame is yielded before its time."""
    with av.open(
        str(tmp_path / "live.m3u8"),
        "w",
        format="hls",
        options={"hls_time": "1", "hls_list_size": "0"},
    ) as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = 160, 120, "yuv420p", 10
        for number in range(30):
            pixels = cameras.image(number, 160, 120)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="bgr24")))
        container.mux(stream.encode(None))

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        began = time.monotonic()
        found, why = receive(f"http://127.0.0.1:{server.server_port}/live.m3u8", 100, timeout=3)
        seconds = time.monotonic() - began
    finally:
        server.shutdown()
        server.server_close()
    assert len(found) == 30
    assert "the stream has ended" in why
    assert seconds > 2.5
    assert not any(shot.stale for shot in found)


def test_a_video_is_repeated_without_an_end() -> None:
    """Each time is a connection of its own, at the video's pace, and nobody leaves at its end."""
    before = time.monotonic()
    found, _ = receive("test://moving?size=64x36&fps=25&frames=5", 12, repeat=True)
    assert time.monotonic() - before >= 11 / 25 - 0.05
    frames = [shot.frame for shot in found]
    assert [frame.index for frame in frames] == list(range(12))
    rounds = frames[:5], frames[5:10], frames[10:]
    assert [len({frame.epoch for frame in each}) for each in rounds] == [1, 1, 1]
    assert len({frame.epoch for frame in frames}) == 3
    starts = [each[0].started for each in rounds]
    assert starts == sorted(starts)
    assert not any(frame.last for frame in frames)


def test_one_image_is_repeated_at_leisure() -> None:
    before = time.monotonic()
    receive("test://moving?size=64x36&frames=1", 3, repeat=True)
    assert time.monotonic() - before >= 2 * STILL_SECONDS


def test_a_video_of_which_nothing_is_selected_cannot_be_repeated() -> None:
    found, cause = receive("test://moving?size=64x36&frames=5", 3, repeat=True, start=60)
    assert not found
    assert "none of its images is selected" in cause
