"""`onlooker demo`: everything at work on a video that is made on the spot."""

import webbrowser
from pathlib import Path
from typing import Annotated

import typer
from msgspec.structs import replace

from onlooker.cli.demo_video import make_video
from onlooker.cli.pull_models import pull_models
from onlooker.cli.replay import replay_videos
from onlooker.cli.terminal import console, plain
from onlooker.config.load import load
from onlooker.config.schema import Config, SourceConfig
from onlooker.config.serving import Console
from onlooker.identity.collection import Collection
from onlooker.media.errors import MediaError
from onlooker.stream.outputs import Outputs
from onlooker.vision import analyser


def demo(
    folder: Annotated[Path, typer.Option(help="Folder for the video and the results.")] = Path(
        "demo"
    ),
    open_: Annotated[
        bool, typer.Option("--open", help="Show the results in a browser at the end.")
    ] = False,
) -> None:
    """Make a video from real photographs, index one face, replay the video, print the summary.

    Needs no input: scikit-image brings the photographs. With --open, the console then shows who was
    there, and plays the video once more as a camera would. Example: `onlooker demo --open`
    """
    mark = folder / ".onlooker-demo"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()) and not mark.exists():
            raise MediaError(f"{folder}: has files that are not the demo's; name another --folder")
        mark.touch()
    except OSError as error:
        raise MediaError(f"{folder}: {error.strerror}; name another with --folder") from error
    with console.status("making a video of the astronaut, the page and the motorcycle"):
        video, people = make_video(folder)
    records, store = folder / "records.jsonl", folder / "faces.db"
    annotated = folder / "annotated.mp4"
    for old in (records, annotated, *_with_parts(store), *_with_parts(records.with_suffix(".db"))):
        old.unlink(missing_ok=True)
    settings = load()
    settings = replace(settings, match=replace(settings.match, collection="demo"))
    pull_models(analyser.cards(settings))
    with Collection("demo", store=store, config=settings) as known:
        list(known.index_files([people]))
    plain.print(f"video           {video}")
    outputs = Outputs(records=records)
    replay_videos([video], settings, outputs, annotated, store=store)
    if open_:
        show(video, settings, outputs, store)


def show(video: Path, settings: Config, outputs: Outputs, store: Path) -> None:
    """Serve the console over the results until a signal to stop, and play the video meanwhile.

    Raises OnlookerError.
    """
    from onlooker.console import supervised
    from onlooker.stream.cameras import serve

    again = SourceConfig(url=str(video), policy="live")
    settings = replace(settings, console=Console(listen="127.0.0.1:0"), streams={"again": again})

    def ready(url: str) -> None:
        plain.print(f"console         {url}  (Ctrl-C ends it)")
        webbrowser.open(url)

    with supervised.running(settings, store, outputs.log_path, ready) as pages:
        serve(lambda: settings, outputs, lambda _: None, others=[pages], store=store)


def _with_parts(database: Path) -> list[Path]:
    """Return the paths of an SQLite file, and of what a process that was killed left beside it."""
    return [database.with_name(database.name + end) for end in ("", "-wal", "-shm", "-writer")]
