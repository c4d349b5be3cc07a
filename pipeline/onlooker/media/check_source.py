"""Check whether sources yield images, once, before anything depends on them."""

import logging
import threading
import time
from collections.abc import Mapping
from contextlib import closing

from onlooker.config.schema import SourceConfig
from onlooker.media.camera import Camera
from onlooker.media.errors import MediaError
from onlooker.media.open import open_video
from onlooker.media.url import is_camera, redacted

logger = logging.getLogger(__name__)

MAX_TIMEOUTS = 3
"""Maximum length of a check, in timeouts of its source: to connect, to get data, and an image."""


def check_sources(sources: Mapping[str, SourceConfig]) -> dict[str, str | None]:
    """Return by name why a source yields no image; None if it does. All are checked at once.

    Takes at most MAX_TIMEOUTS times the longest timeout.
    """
    found: dict[str, str | None] = {
        name: f"{redacted(source.url)}: no answer within {MAX_TIMEOUTS * source.timeout:g} s"
        for name, source in sources.items()
    }

    def check(name: str, source: SourceConfig) -> None:
        try:
            found[name] = check_source(name, source)
        except Exception as error:  # our own defect: not the same as no answer
            found[name] = f"{redacted(source.url)}: {type(error).__name__}: {error}"
            logger.exception("check of a source failed")

    # Daemon threads: one that hangs in name resolution must not keep the program alive.
    threads = [threading.Thread(target=check, args=item, daemon=True) for item in sources.items()]
    for thread in threads:
        thread.start()
    longest = max((source.timeout for source in sources.values()), default=0)
    end = time.monotonic() + MAX_TIMEOUTS * longest
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    return dict(found)


def check_source(name: str, source: SourceConfig) -> str | None:
    """Return why `source` yields no image; None if it does."""
    try:
        if not is_camera(source.url):
            open_video(source.url).close()
            return None
        # Any image will do, whatever the settings select.
        plain = SourceConfig(url=source.url, transport=source.transport, timeout=source.timeout)
        with closing(Camera(name, plain).connect()) as frames:  # type: ignore[type-var]
            if any(frame.planes is not None for frame in frames):
                return None
    except MediaError as error:
        return str(error)
    return f"{redacted(source.url)}: no image came"
