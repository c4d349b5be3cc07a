"""Replays of many videos on the machines of a Ray cluster: one task a video.

A task is the whole pipeline in one process (`onlooker.stream.inline`), and returns the records as
JSON lines. Ray starts it again if its node dies. The records of a video are written when they are
complete, as one file, so that a replay that is started again analyses only the videos that are
missing. RecordIds depend on the video and the settings alone: a video that was analysed twice
has the same records.
"""

import logging
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from onlooker import durable_file
from onlooker.child_process import environment
from onlooker.config.schema import KEEP_ALL, Config, SourceConfig
from onlooker.errors import OnlookerError
from onlooker.media.errors import MediaError
from onlooker.media.open import open_video
from onlooker.record.frame_record import analysis_digest, record_id
from onlooker.rekognition.shapes import RecordError, decode
from onlooker.stream import equal_results
from onlooker.stream.feeds import feeds_of, named
from onlooker.stream.inline import inline_feeds
from onlooker.stream.outputs import Outputs
from onlooker.stream.stage import Stage
from onlooker.stream.stages import STAGES

MAX_ATTEMPTS = 10
"""Times that Ray starts a task again whose node or process has died."""
WAIT_SECONDS = 1.0
"""Time between two calls of the progress display."""
LOCAL = "local"
"""A cluster of this machine's cores, for the time of the replay."""

logger = logging.getLogger(__name__)


class ClusterError(OnlookerError):
    """There is no cluster, or it cannot do the replay; the text says why and what to do."""


@dataclass(slots=True)
class Progress:
    """The state of a replay, by the names of its streams."""

    videos: int
    earlier: list[str] = field(default_factory=list)
    """Videos that an earlier replay has done."""
    done: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    """Why each of them could not be analysed."""


def replay_on_cluster(
    videos: Sequence[Path],
    config: Config,
    folder: Path,
    cluster: str,
    on_progress: Callable[[Progress], None],
    stages: Sequence[Stage] = STAGES,
    store: Path | None = None,
) -> Progress:
    """Write the records of each video to `folder`/STREAM.jsonl; return what became of all.

    The videos, and the file of the collections, are read by the cluster's nodes, under the same
    paths as here. cluster: "local", or an address that Ray knows, such as ray://head:10001.
    on_progress is called about once a second. store: file of the collections; None means the
    user's own.

    Raises ClusterError. A video that cannot be analysed does not end the replay, nor does a file
    of other records, which is kept.
    """
    ray = _ray()
    if config.sinks:
        raise ClusterError(
            "[sinks]: they follow the log of one machine, and a cluster writes files only; take "
            "them out of the configuration, or replay without --cluster"
        )
    if config.people.enabled:
        raise ClusterError(
            "[people]: unknown people are followed over all videos in their order, which a "
            "cluster does not keep; set enabled = false, or replay without --cluster"
        )
    folder.mkdir(parents=True, exist_ok=True)
    sources = {name: _absolute(source) for name, source in named(videos).items()}
    progress = Progress(len(sources))
    missing: dict[str, SourceConfig] = {}
    for name, source in sources.items():
        path = folder / f"{name}.jsonl"
        if not path.exists():
            missing[name] = source
        elif _is_of(path, name, source, config):
            progress.earlier.append(name)
        else:
            progress.failed[name] = (
                f"{path}: holds other records than those of {source.url} with these settings; "
                "delete it, or name another folder"
            )
    on_progress(progress)
    if missing:
        with _Session(ray, cluster):
            _run(ray, missing, config, folder, progress, on_progress, stages, store)
    return progress


def _is_of(path: Path, name: str, source: SourceConfig, config: Config) -> bool:
    """Return whether the records in the file were made from this video, with these settings."""
    try:
        with path.open("rb") as lines, open_video(source.url) as video:
            record = decode(lines.readline())
    except (MediaError, RecordError):
        return False
    analysis, index = analysis_digest(config.for_source(source)), record.FrameInformation.Index
    return record.RecordId == record_id(name, video.digest, index, analysis)


def _run(
    ray: Any,
    sources: Mapping[str, SourceConfig],
    config: Config,
    folder: Path,
    progress: Progress,
    on_progress: Callable[[Progress], None],
    stages: Sequence[Stage],
    store: Path | None,
) -> None:
    facts = equal_results.facts(config)
    task = ray.remote(num_cpus=1, max_retries=MAX_ATTEMPTS)(records_of)
    shared = ray.put((config, facts, tuple(stages), store))
    running = {task.remote(name, source, shared): name for name, source in sources.items()}
    while running:
        ready, _ = ray.wait(list(running), num_returns=1, timeout=WAIT_SECONDS)
        for reference in ready:
            name = running.pop(reference)
            try:
                found = ray.get(reference)
            except ray.exceptions.RayError as error:
                # A defect, or a video that has killed as many processes as it was given.
                cause = str(error).strip().splitlines()
                progress.failed[name] = cause[-1] if cause else type(error).__name__
                continue
            if isinstance(found, str):
                progress.failed[name] = found
                continue
            durable_file.write(folder / f"{name}.jsonl", found)
            progress.done.append(name)
        on_progress(progress)


def records_of(
    name: str,
    source: SourceConfig,
    shared: "tuple[Config, dict[str, str], tuple[Stage, ...], Path | None]",
) -> bytes | str:
    """Return the records of a video as JSON lines; if it cannot be analysed, the error.

    Runs on a node of the cluster.
    """
    config, facts, stages, store = shared
    differing = equal_results.difference(facts, equal_results.facts(config))
    if differing is not None:
        return f"on node {os.uname().nodename}: {differing}"
    with tempfile.TemporaryDirectory(prefix="onlooker-ray-") as place:
        outputs = Outputs(records=Path(place) / "records.jsonl", limits=KEEP_ALL)
        try:
            [feed] = feeds_of({name: source}, config, outputs)
            if feed.live:
                return f"{source.url} does not end"
            inline_feeds([feed], config, lambda _: None, stages, store)
            assert outputs.records is not None
            return outputs.records.read_bytes()
        except OnlookerError as error:
            return str(error)


class _Session:
    """A connection to a cluster, while the `with` statement lasts. Raises ClusterError."""

    def __init__(self, ray: Any, cluster: str) -> None:
        self._ray = ray
        self._ours = not ray.is_initialized()
        if not self._ours:
            return
        try:
            if cluster == LOCAL:
                ray.init(
                    include_dashboard=False,
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                    runtime_env={"env_vars": _variables()},
                )
            else:
                ray.init(cluster, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise ClusterError(
                f"{cluster}: no Ray cluster answers there: {error}; start one with `ray start "
                "--head`, or use --cluster local"
            ) from error

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        if self._ours:
            self._ray.shutdown()


def _variables() -> dict[str, str]:
    """Return what tasks on this machine need to find the same package, with a thread each."""
    ours = environment()
    names = ("PYTHONPATH", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENCV_FOR_THREADS_NUM")
    return {name: ours[name] for name in names}


def _absolute(source: SourceConfig) -> SourceConfig:
    return replace(source, url=str(Path(source.url).absolute()))


def _ray() -> Any:
    # Ray would send statistics of its use to its makers otherwise.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise ClusterError(
            'Ray is not installed; run `pip install "onlooker[ray]"` here and on every node'
        ) from error
    return ray
