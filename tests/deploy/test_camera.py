"""The camera for trials: what it serves is a camera to Onlooker."""

import threading
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import numpy as np
import pytest
from deploy.camera import PATH, CameraServer

from onlooker.config.schema import SourceConfig
from onlooker.media.camera import Camera
from onlooker.media.video_writer import VideoWriter

FRAMES = 5


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """Yield the address of a camera that plays five images, a tenth of a second each."""
    video = tmp_path / "video.mp4"
    with VideoWriter(video, 64, 48, 10) as writer:
        for number in range(FRAMES):
            writer.write(np.full((48, 64, 3), 40 * number, np.uint8))
    with CameraServer(video, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_it_plays_its_video_again_and_again(url: str) -> None:
    source = SourceConfig(url=url + PATH)
    with closing(Camera("demo", source).connect()) as frames:  # type: ignore[type-var]
        shown = [frame.planes for frame in islice(frames, 2 * FRAMES)]
    levels = [int(planes.y.mean()) for planes in shown if planes is not None]
    assert len(levels) == 2 * FRAMES


def test_another_path_is_refused_and_the_right_one_is_named(url: str) -> None:
    with pytest.raises(HTTPError, match=PATH) as refused:
        urlopen(url + "/")
    refused.value.close()
    assert refused.value.code == 404
