"""The image of a record of a video."""

import http.client
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from msgspec.structs import replace
from tests.support.console import Visitor, serving
from tests.support.frame_records import FACE
from tests.support.frames import frame

from onlooker.config.schema import KEEP_ALL, Config, SourceConfig
from onlooker.console.moments import image_of
from onlooker.media.errors import MediaError
from onlooker.media.open import frames, open_video
from onlooker.record.frame_record import build
from onlooker.record.log.writer import Writer
from onlooker.rekognition.shapes import StreamRecord

WIDTH, HEIGHT, FRAMES = 160, 96, 40


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video whose frames have their number as their shade."""
    path = tmp_path_factory.mktemp("video") / "film.mp4"
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", 25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.gop_size = 10
        for number in range(FRAMES):
            image = np.full((HEIGHT, WIDTH, 3), 20 + 3 * number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, "bgr24")))
        container.mux(stream.encode())
    return path


def record(index: int, pts: int, stream: str = "film") -> StreamRecord:
    made = frame(stream, index, width=WIDTH, height=HEIGHT, pts=pts, faces=(FACE,))
    return build(made, Config(), "d")


def pts_of(video: Path) -> list[int]:
    with open_video(str(video)) as opened:
        return [each.pts for each, _ in opened.frames("film")]


@pytest.mark.parametrize("index", [0, 1, 9, 10, 25, FRAMES - 1])
def test_it_is_the_frame_itself_with_its_boxes(video: Path, index: int) -> None:
    image = image_of(SourceConfig(url=str(video)), record(index, pts_of(video)[index]))
    assert abs(int(image[90, 5, 0]) - (20 + 3 * index)) <= 3
    left, top, _, bottom = map(int, FACE.box)
    edge = image[(top + bottom) // 2, left - 3 : left + 4].astype(int)
    assert np.abs(edge - (20 + 3 * index)).max() > 25, "a box"


def test_with_a_selection_too(video: Path) -> None:
    source = SourceConfig(url=str(video), nth=3)
    chosen = [(each.index, each.pts) for each, _ in frames("film", source, "e", 0)]
    index, pts = chosen[5]
    image = image_of(source, record(index, pts))
    assert abs(int(image[90, 5, 0]) - (20 + 3 * 15)) <= 3


def test_another_video_of_that_name_is_not_shown(video: Path) -> None:
    for index, pts in ((5, 1), (10**6, 0)):
        with pytest.raises(MediaError, match="has changed since then"):
            image_of(SourceConfig(url=str(video)), record(index, pts))
    with pytest.raises(MediaError):
        image_of(SourceConfig(url="/nowhere.mp4"), record(0, 0))


def test_the_page_has_it_for_videos_and_not_for_cameras(video: Path, tmp_path: Path) -> None:
    found = [record(7, pts_of(video)[7]), record(7, 0, "door"), record(7, 0, "gone")]
    with Writer(tmp_path / "records.db", KEEP_ALL) as log:
        log.append(found)
    film = SourceConfig(url=str(video))
    config = Config(streams={"film": film, "door": replace(film, url="rtsp://192.0.2.7/")})
    with serving(tmp_path, config=config) as url:
        connection = http.client.HTTPConnection(url.removeprefix("http://"))
        connection.request("GET", f"/moments/{found[0].RecordId}")
        answer = connection.getresponse()
        assert answer.getheader("content-type") == "image/jpeg"
        image = cv2.imdecode(np.frombuffer(answer.read(), np.uint8), cv2.IMREAD_COLOR)
        connection.close()
        assert image is not None
        assert image.shape == (HEIGHT, WIDTH, 3)
        for other in found[1:]:
            assert Visitor(url).get(f"/moments/{other.RecordId}").status == 404
        assert Visitor(url).get(f"/moments/{'0' * 8}-0000-4000-8000-{'0' * 12}").status == 404
