"""`onlooker demo`: everything at work on a video that is made on the spot."""

import os
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from msgspec.structs import replace

from onlooker.api.listener import ServeError, reserved
from onlooker.cli.demo_video import make_video
from onlooker.cli.pull_models import pull_models
from onlooker.cli.replay import replay_videos
from onlooker.cli.run import check_stream, run_program
from onlooker.cli.terminal import command, complaints, console, plain
from onlooker.config.schema import Config, Log, Match, SourceConfig
from onlooker.config.serving import Console
from onlooker.config.tracking import People
from onlooker.durable_file import FileLock
from onlooker.identity.collection import Collection
from onlooker.identity.store import default_path
from onlooker.media.errors import MediaError
from onlooker.stream import stream_table
from onlooker.stream.outputs import Outputs
from onlooker.stream.stream_table import StreamTable
from onlooker.stream.wanted_streams import WantedStreams
from onlooker.vision import analyser

STREAM = "camera"
"""The stream of the console, which plays the video."""
FPS = 10
"""Its frames per second, as a door's camera has: two cores analyse them beside a browser."""


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
    there, and plays the video again and again as a camera would. The demo has settings of its own,
    and everything of it is in its folder: a further demo starts over there. Example: `onlooker demo
    --open`
    """
    with own_folder(folder):
        settings = Config(
            match=Match(collection="demo"),
            people=People(enabled=True),
            log=Log(path=str(folder / "records.db")),
        )
        with console.status("making a video of the astronaut, the page and the motorcycle"):
            video, people = make_video(folder)
        pull_models(analyser.cards(settings))
        with Collection("demo", config=settings) as known:
            list(known.index_files([people]))
        plain.print(f"video           {video}")
        outputs = Outputs(records=folder / "records.jsonl")
        replay_videos([video], settings, outputs, folder / "annotated.mp4", store=default_path())
        if open_:
            show(video, settings)
        else:
            plain.print(f"in a browser    {command()} demo --open")


@contextmanager
def own_folder(folder: Path) -> Iterator[None]:
    """Make the demo's folder, without the results of an earlier one, and the data folder meanwhile.

    Nothing that is changed in the demo's console reaches the user's own streams and people. Raises
    MediaError if no demo made the folder, which may be empty, or if another one is at work in it.
    """
    mark = folder / ".onlooker-demo"
    try:
        if not mark.exists():
            folder.mkdir(parents=True)
        lock = FileLock(mark, wait=False)
    except FileExistsError:
        raise MediaError(f"{folder}: the demo did not make it; name another --folder") from None
    except BlockingIOError:
        raise MediaError(
            f"{folder}: another demo is at work in it; stop that one, or name another --folder"
        ) from None
    except OSError as error:
        raise MediaError(f"{folder}: {error.strerror}; name another with --folder") from error
    with lock, _data_folder(folder.absolute()):
        for name in ("records.jsonl", "annotated.mp4"):
            (folder / name).unlink(missing_ok=True)
        for name in ("records.db", "faces.db", "people.db", "streams.db"):
            for path in _with_parts(folder / name):
                path.unlink(missing_ok=True)
        yield


@contextmanager
def _data_folder(folder: Path) -> Iterator[None]:
    """Make `folder` the data folder of this process and its children for a while."""
    before = os.environ.get("ONLOOKER_DATA")
    os.environ["ONLOOKER_DATA"] = str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ["ONLOOKER_DATA"]
        else:
            os.environ["ONLOOKER_DATA"] = before


def show(video: Path, settings: Config) -> None:
    """Serve the console over the results until a signal to stop, and play the video meanwhile.

    Raises OnlookerError.
    """
    camera = SourceConfig(url=str(video), policy="live", repeat=True, fps=FPS)
    settings = replace(settings, console=_free_console(), streams={STREAM: camera})

    def ready(url: str) -> None:
        plain.print(
            "Ctrl-C ends it; a camera that you add there is watched until then. Your own cameras: "
            "write them into onlooker.toml, with [console], and start `onlooker run`"
        )
        webbrowser.open(url)

    with StreamTable(stream_table.default_path()) as table, table.runner():
        wanted = WantedStreams(lambda: settings, table, check_stream)
        run_program(wanted, None, api=None, console=settings, on_console=ready)


def _free_console() -> Console:
    """Return the console's usual address, or a free port if another program has that one."""
    usual = Console()
    try:
        reserved((usual.host, usual.port), "").close()
    except ServeError:
        complaints.print(
            f"port {usual.port} is taken, perhaps by your own console; this one gets another port"
        )
        return Console(listen=f"{usual.host}:0")
    return usual


def _with_parts(database: Path) -> list[Path]:
    """Return the paths of an SQLite file, and of what a process that was killed left beside it."""
    return [database.with_name(database.name + end) for end in ("", "-wal", "-shm", "-writer")]
