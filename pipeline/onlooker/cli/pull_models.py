"""Models built with a progress bar, for all commands that need some."""

import functools
from collections.abc import Container, Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, SpinnerColumn, TextColumn

from onlooker.cli.ending import if_stopped
from onlooker.cli.terminal import complaints
from onlooker.models import archive, card, weights
from onlooker.models.card import Archive


def say_left_out(asked: Container[str] = ()) -> None:
    """Say once which of the user's own cards cannot be used, and why; of those `asked` for an error
    says it.
    """
    for name, error in card.left_out().items():
        if name not in asked:
            _say_once(f"own model left out: {error}")


@functools.cache
def _say_once(line: str) -> None:
    complaints.print(line)


def pull_models(names: Sequence[str] | None = None, *, force: bool = False) -> list[Path]:
    """Build models as `weights.pull` does; show the progress on stderr if it is a terminal."""
    say_left_out(names or ())
    kept = "models that are complete are kept; the same command makes the others"
    with if_stopped(lambda: kept):
        return weights.pull(names, force=force, track=_bars)


def _bars(archives: Sequence[Archive]) -> Iterator[Archive]:
    """Yield each of `archives`, with a bar that names the one in work."""
    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("models", total=sum(each.size for each in archives))
        for source in archives:
            bar.update(task, description=f"models from {archive.describe(source)}")
            yield source
            bar.update(task, advance=source.size, description="models")
