"""Capacity of a run: processes of a stage and their cores, frames of a batch, frames in flight.

On processors one worker per core analyses one frame at a time. On a card few workers analyse many
frames at once: while one batch of a worker is on the card, another is cut into regions and crops by
the processor, and a third waits.
"""

import os

from onlooker.config.schema import Config

CARD_WORKERS = 2
"""Processes for each of detect and recognise on one card."""
CARD_BATCH = 32
"""Frames that each of them analyses at once."""
CORES_OF_A_FOLLOWER, CORES_OF_A_CARD_FOLLOWER = 8, 4
"""Cores whose frames one process of a stage that follows streams can take: it has an eighth of the
work on a frame, or more, if models run on a card."""
BATCHES_AT_ONCE = 3
"""Batches that one worker analyses side by side."""
MIN_WINDOW = 16
"""Frames of a stream in flight; twice as many if other machines may join, where some are always on
their way."""
START_SECONDS, CARD_START_SECONDS = 60.0, 300.0
"""Time that a process may take until it is heard of: on a slow disk, Python has much to read, and
for a card all models are planned."""


def cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def on_card(config: Config) -> bool:
    """Return whether models run on a card."""
    return config.runtime.provider == "cuda"


def workers(config: Config) -> int:
    """Return the number of processes of a stage without order that sets none."""
    return config.pipeline.workers or (CARD_WORKERS if on_card(config) else cores())


def followers(config: Config) -> int:
    """Return the number of processes of a stage that follows streams and sets none."""
    each = CORES_OF_A_CARD_FOLLOWER if on_card(config) else CORES_OF_A_FOLLOWER
    return max(1, round(cores() / each))


def batch(config: Config) -> int:
    """Return how many frames a worker analyses at once."""
    return config.pipeline.batch or (CARD_BATCH if on_card(config) else 1)


def leases(config: Config) -> int:
    """Return how many frames a worker may hold: with batches, those of one more than it runs."""
    size = batch(config)
    return size if size == 1 else size * (BATCHES_AT_ONCE + 1)


def window(config: Config) -> int:
    """Return how many frames of one stream may be in flight."""
    least = 2 * MIN_WINDOW if config.workers.listen else MIN_WINDOW
    size = batch(config)
    return config.pipeline.window or (least if size == 1 else max(least, 2 * size))


def videos_at_once(config: Config) -> int:
    """Return how many videos are read at once: enough for all workers."""
    return workers(config) if batch(config) == 1 else max(workers(config), cores())


def start_seconds(config: Config) -> float:
    """Return the time that a process may take until it is heard of."""
    return CARD_START_SECONDS if on_card(config) else START_SECONDS


def pinned(workers: int, config: Config) -> list[int | None]:
    """Return the core for each worker of a stage: its own if there are as many as cores.

    OpenVINO hands each inference to a thread of its own. If the system moves that from core to
    core, as it does while a core is idle, the image is in the wrong cache: on two cores two pinned
    processes ran models half as often again. If workers are fewer or more than cores, the system
    finds free ones.
    """
    if batch(config) > 1 or not hasattr(os, "sched_getaffinity"):
        return [None] * workers  # several threads each
    cores = sorted(os.sched_getaffinity(0))
    return [*cores] if workers == len(cores) else [None] * workers
