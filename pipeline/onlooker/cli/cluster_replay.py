"""`onlooker replay --cluster`: videos on the machines of a Ray cluster."""

from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from onlooker.cli.ending import if_stopped
from onlooker.cli.pull_models import pull_models
from onlooker.cli.terminal import complaints, console, plain
from onlooker.config.schema import Config
from onlooker.escape import STREAMS
from onlooker.identity.search.engines import check_collection
from onlooker.identity.store import default_path
from onlooker.models.card import space
from onlooker.stream import ray_replay
from onlooker.stream.errors import RunError
from onlooker.vision import analyser


def replay_videos(videos: list[Path], settings: Config, folder: Path, cluster: str) -> None:
    """Replay `videos` into `folder`, show the progress, and list those that failed.

    Raises RunError if one failed, and what `ray_replay.replay_on_cluster` does.
    """
    if settings.match.collection is not None:
        check_collection(default_path(), space(settings.faces.embedder), settings.match.collection)
    if cluster == ray_replay.LOCAL:
        pull_models(analyser.cards(settings))
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[failed]} failed"),
        TimeRemainingColumn(),
    )
    done = f"videos that are done are in {folder}; the same command continues with the others"
    with if_stopped(lambda: done), Progress(*columns, console=console) as bar:
        task = bar.add_task("videos", total=len(videos), failed=0)

        def show(progress: ray_replay.Progress) -> None:
            ended = len(progress.earlier) + len(progress.done) + len(progress.failed)
            bar.update(task, completed=ended, failed=len(progress.failed))

        found = ray_replay.replay_on_cluster(
            videos, settings, folder, cluster, show, store=default_path()
        )
    if found.earlier:
        console.print(f"{len(found.earlier)} videos were in {folder} already")
    plain.print(f"records  {folder}")
    for name, cause in found.failed.items():
        complaints.print(f"{STREAMS.shown(name)} failed: {cause}")
    if found.failed:
        raise RunError(
            f"{len(found.failed)} of {len(videos)} videos failed; the same command tries them again"
        )
