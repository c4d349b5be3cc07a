"""The picture of the console: the page Live of a run over drawn scenes, with the real models.

    python -m pytest tests/console/test_console_picture.py

compares the picture with what the console shows here; with ONLOOKER_DRAW=1 it draws it again.
"""

import base64
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Page, expect
from tests.support.commands import ONLOOKER, environment
from tests.support.console import settings
from tests.support.drawn_scenes import SCENES, Scene, portrait
from tests.support.processes import wait_until

from onlooker.console.local_api import LocalApi
from onlooker.media.picture import Pixels

DOCS = Path(__file__).resolve().parents[2] / "docs"
PICTURE = DOCS / "images" / "console.webp"
MAX_BYTES = 150_000
SIZE = {"width": 1120, "height": 810}
SECONDS, RATE = 60, 2
"""Of the videos, which show one image."""
CELLS = 56, 40
"""Size at which pictures are compared: fonts make no difference, boxes and scenes do."""
MAX_DIFFERENCE = 12
"""Of the mean brightness of a cell, of 255; the mean over all cells is below a fifth of it."""


def film(path: Path, image: Pixels) -> None:
    """Write a video that shows one image."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", RATE, {"crf": "14", "preset": "ultrafast"})
        stream.height, stream.width, _ = image.shape
        stream.pix_fmt = "yuv420p"
        frame = av.VideoFrame.from_ndarray(image, "bgr24").reformat(format="yuv420p")
        for _ in range(SECONDS * RATE):
            frame.pts = None
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def enrol(folder: Path, scenes: list[Scene]) -> None:
    """Index another image of everybody in the scenes."""
    api = LocalApi(settings(folder))
    api.answer(None, "CreateCollection", {"CollectionId": "staff"})
    for person in (person for scene in scenes for person in scene.people):
        png = cv2.imencode(".png", portrait(person))[1].tobytes()
        api.answer(
            None,
            "IndexFaces",
            {
                "CollectionId": "staff",
                "ExternalImageId": person.name.replace(" ", "::"),
                "Image": {"Bytes": base64.b64encode(png).decode()},
            },
        )
    api.close()


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """The console of `onlooker run` over the scenes."""
    scenes = {name: make() for name, make in SCENES.items()}
    (tmp_path / "data").mkdir()
    enrol(tmp_path / "data", list(scenes.values()))
    config = '[match]\ncollection = "staff"\n[console]\nlisten = "127.0.0.1:0"\n'
    config += '[log]\npath = "records.db"\n'
    for name, scene in scenes.items():
        film(tmp_path / f"{name}.mp4", scene.image)
        config += f'[streams.{name}]\nurl = "{name}.mp4"\npolicy = "live"\n'
    (tmp_path / "onlooker.toml").write_text(config)
    out = tmp_path / "out.txt"
    with (
        out.open("w") as said,
        subprocess.Popen(
            [*ONLOOKER, "run"],
            cwd=tmp_path,
            env=environment(tmp_path / "data"),
            stdout=said,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            assert wait_until(lambda: "console  http" in out.read_text(), 60), out.read_text()
            yield re.findall(r"console  (\S+)", out.read_text())[0]
            process.send_signal(signal.SIGTERM)
            process.wait(30)
        finally:
            process.kill()


def shades(picture: bytes) -> NDArray[np.float64]:
    """Return the mean brightness of the cells of a picture."""
    image = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert image is not None
    return np.asarray(cv2.resize(image, CELLS, interpolation=cv2.INTER_AREA), np.float64)


def webp(png: bytes) -> bytes:
    image = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return bytes(cv2.imencode(".webp", image, [cv2.IMWRITE_WEBP_QUALITY, 88])[1].tobytes())


def test_the_picture_shows_what_the_console_shows(url: str, page: Page) -> None:
    page.set_viewport_size(SIZE)  # type: ignore[arg-type]
    page.goto(f"{url}/live")
    told = []
    for name, make in SCENES.items():
        scene = make()
        found = [*(person.name for person in scene.people), *scene.texts]
        boxes = page.locator(f"#tile-{name} .boxes")
        for each in found:
            expect(boxes).to_have_attribute(
                "aria-label", re.compile(re.escape(each)), timeout=90_000
            )
        told.append(boxes.get_attribute("aria-label"))
    shown = webp(page.screenshot())
    if os.environ.get("ONLOOKER_DRAW"):
        PICTURE.write_bytes(shown)
    assert PICTURE.stat().st_size <= MAX_BYTES
    difference = np.abs(np.subtract(shades(shown), shades(PICTURE.read_bytes())))
    assert np.percentile(difference, 99) < MAX_DIFFERENCE
    assert difference.mean() < MAX_DIFFERENCE / 5
    alternative = re.findall(
        r"!\[(.*?)\]\(images/console.webp\)", (DOCS / "console.md").read_text()
    )
    assert alternative == [f"The page Live. {'; '.join(map(str, told))}"]
