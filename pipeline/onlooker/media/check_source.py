"""Whether sources give pictures, tried once before anything depends on it."""

import threading
import time
from collections.abc import Mapping
from contextlib import closing

from onlooker.config.schema import SourceConfig
from onlooker.media.camera import Camera
from onlooker.media.errors import MediaError
from onlooker.media.open import open_video
from onlooker.media.url import is_camera, redacted

WAITS = 3
"""Time-outs that a trial may take: to connect, to hear something, and to see a picture."""


def check_sources(sources: Mapping[str, SourceConfig]) -> dict[str, str | None]:
    """By name why a source gives no picture, or None where it gives one. All are tried at once.

    Takes WAITS times the longest time-out at most.
    """
    found: dict[str, str | None] = {
        name: f"{redacted(source.url)}: did not answer in {WAITS * source.timeout:g} s"
        for name, source in sources.items()
    }

    def one(name: str, source: SourceConfig) -> None:
        found[name] = check_source(name, source)

    # Daemons: what hangs in the resolver of names must not hold the program back.
    threads = [threading.Thread(target=one, args=item, daemon=True) for item in sources.items()]
    for thread in threads:
        thread.start()
    end = time.monotonic() + WAITS * max((each.timeout for each in sources.values()), default=0)
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    return dict(found)


def check_source(name: str, source: SourceConfig) -> str | None:
    """Why `source` gives no picture; None if it gives one."""
    try:
        if not is_camera(source.url):
            open_video(source.url).close()
            return None
        # Any picture will do, whichever are asked for later.
        plain = SourceConfig(url=source.url, transport=source.transport, timeout=source.timeout)
        with closing(Camera(name, plain).connect()) as shots:  # type: ignore[type-var]
            if any(shot.planes is not None for shot in shots):
                return None
    except MediaError as error:
        return str(error)
    return f"{redacted(source.url)}: no picture came"
