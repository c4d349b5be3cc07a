"""A run whose frames a test makes itself: a console shows them as it shows those of cameras."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import numpy as np
from msgspec.structs import replace
from tests.support.frames import frame

from onlooker.config.schema import Config, SourceConfig
from onlooker.media.picture import Planes, Still
from onlooker.record.frame_record import build
from onlooker.stream import run_directory
from onlooker.stream.feeds import Feed
from onlooker.stream.live_pictures import LivePictures
from onlooker.stream.run_directory import Plan
from onlooker.types import Face, TextLine

WIDTH, HEIGHT = 640, 360
BOX = (160.0, 90.0, 320.0, 270.0)
"""Left, top, right and bottom of the white rectangle in the images."""


@contextmanager
def watched_run(
    *streams: str,
    config: Config | None = None,
    url: str = "test://moving",
    policy: Literal["live", "every"] = "live",
) -> Iterator["WatchedRun"]:
    """Yield a run of this process with these streams."""
    with run_directory.directory(0) as run:
        plan = Plan(
            parent=os.getpid(),
            hub=run_directory.endpoint(run),
            config=config or Config(),
            stages=(),
        )
        run_directory.write(run, plan)
        for number, stream in enumerate(streams):
            source = SourceConfig(url=url, policy=policy)
            run_directory.write_feed(run, Feed(stream=stream, source=source, number=number))
        with LivePictures(run) as live:
            yield WatchedRun(run, live, config or Config())


class WatchedRun:
    """The recorder's end of a run."""

    def __init__(self, run: Path, live: LivePictures, config: Config) -> None:
        self.run = run
        self._live = live
        self._config = config

    def watched(self, topic: bytes) -> bool:
        """Return whether anybody watches a topic."""
        self._live._take_subscriptions()
        return topic in self._live._wanted

    def show(
        self,
        stream: str,
        index: int,
        faces: tuple[Face, ...] = (),
        lines: tuple[TextLine, ...] = (),
        started: float = 0.0,
        shade: int = 0,
    ) -> None:
        """Publish a frame: a grey image of this shade with a white rectangle at BOX."""
        bgr = np.full((HEIGHT, WIDTH, 3), shade, np.uint8)
        left, top, right, bottom = map(int, BOX)
        bgr[top:bottom, left:right] = 255
        made = replace(
            frame(stream, index, width=WIDTH, height=HEIGHT, pts=0),
            faces=faces,
            lines=lines,
            started=started,
        )
        self._live.show(made, build(made, self._config, "d"), Planes.of(Still(bgr)))
