"""The command line: demo | replay | stream | serve | faces | text | collection | ..."""

import os
import re
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from msgspec.structs import replace
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from onlooker.api.listener import ServeError
from onlooker.cli import stream as cli_stream
from onlooker.cli.collection import app as collection_app
from onlooker.cli.demo_video import make_video
from onlooker.cli.faces import faces
from onlooker.cli.log import app as log_app
from onlooker.cli.models import app as models_app
from onlooker.cli.serve import serve
from onlooker.cli.text import text
from onlooker.config import schema
from onlooker.config.load import dump, find, load
from onlooker.config.schema import Config, ConfigError
from onlooker.identity.enrol import enrol, pictures
from onlooker.identity.faces import StoreError
from onlooker.identity.store import Store, default_path
from onlooker.media.camera import shown
from onlooker.media.check_source import trials
from onlooker.media.image import MediaError
from onlooker.models import session, weights
from onlooker.record import curve_keys
from onlooker.record.curve_keys import BadKey
from onlooker.record.frame_record import record_id
from onlooker.record.log import reader
from onlooker.record.sinks import publish
from onlooker.record.subscribe import subscribe
from onlooker.record.summary import Summary, summarise
from onlooker.rekognition.shapes import RecordError, StreamRecord, encode
from onlooker.render.video import annotate as draw
from onlooker.stream.feeds import Feed, Outputs, feeds
from onlooker.stream.inline import inline
from onlooker.stream.messages import Status
from onlooker.stream.stage import StageError
from onlooker.stream.stages import needed_models
from onlooker.stream.supervisor import RunError, Stopped
from onlooker.stream.supervisor import replay as staged

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="Says who is in pictures and video and what is written there, in Rekognition's words.",
)
config_app = typer.Typer(no_args_is_help=True, help="What is configured, and where.")
app.add_typer(collection_app, name="collection")
app.add_typer(log_app, name="log")
app.add_typer(models_app, name="models")
app.add_typer(cli_stream.keys_app, name="keys")
app.command()(faces)
app.command()(serve)
app.command()(text)
app.command()(cli_stream.stream)
app.command()(cli_stream.status)
app.add_typer(config_app, name="config")

# No markup: names, paths and what was read in a picture are printed as they are.
console = Console(markup=False, emoji=False, highlight=False)
complaints = Console(stderr=True, markup=False, emoji=False, highlight=False, soft_wrap=True)

LINES_SHOWN = 20
EXPECTED = (
    BadKey,
    ConfigError,
    FileNotFoundError,
    MediaError,
    RecordError,
    RunError,
    ServeError,
    StoreError,
    StageError,
    reader.LogError,
    publish.PublishError,
    weights.WeightsError,
)


def main() -> None:
    """Run the command line; what the user must know is one line on stderr, and status 1."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        app()
    except Stopped as stop:
        complaints.print(f"stopped: {stop}")
        sys.exit(128 + stop.signal)
    except EXPECTED as error:
        complaints.print(Text.assemble(("error:", "red"), f" {error}"))
        sys.exit(1)
    except BrokenPipeError:
        # The reader of our output went away, as `| head` does. Python would complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _terminate(number: int, _: object) -> None:
    """Leave as at the end of a program, so that files and processes are put away."""
    sys.exit(128 + number)


def _print_version(wanted: bool) -> None:
    if wanted:
        console.print(f"onlooker {version('onlooker')}")
        raise typer.Exit()


@app.callback()
def options(
    _: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print it.")
    ] = False,
) -> None:
    """Says who is in pictures and video and what is written there, in Rekognition's words."""


@app.command()
def demo(
    folder: Annotated[Path, typer.Option(help="Where the video and the results go.")] = Path(
        "demo"
    ),
) -> None:
    """Make a video from real photographs, index one face, replay the video, say what was seen.

    Needs no input; scikit-image brings the photographs. Example: `onlooker demo`
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
    for old in (records, annotated, *folder.glob("faces.db*"), *folder.glob("records.db*")):
        old.unlink(missing_ok=True)
    settings = load()
    settings = replace(settings, match=replace(settings.match, collection="demo"))
    weights.pull(needed_models(settings))
    with Store(store) as known:
        known.create_collection("demo", settings.faces.embedder)
        list(enrol(known, "demo", list(pictures([people])), settings))
    console.print(f"video           {video}", soft_wrap=True)
    _replay([video], settings, Outputs(records=records, store=store), annotated)


@app.command()
def replay(
    videos: Annotated[list[Path], typer.Argument(help="Videos to look at, every frame.")],
    collection: Annotated[
        str | None, typer.Option(help="Collection to look faces up in.", metavar="NAME")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="JSON-lines file for the records. [default: the video's name .jsonl]"),
    ] = None,
    log_at: Annotated[
        Path | None,
        typer.Option("--log", help="Log of the records. [default: as --out, with .db]"),
    ] = None,
    publish_at: Annotated[
        str | None,
        typer.Option("--publish", help="ZeroMQ endpoint to publish on, as tcp://127.0.0.1:5555."),
    ] = None,
    annotate: Annotated[
        Path | None, typer.Option(help="Video to draw what was seen into (one video only).")
    ] = None,
    speed: Annotated[
        str,
        typer.Option(metavar="max|1x|8x|...", help="As fast as can be looked at, or as it was."),
    ] = "max",
    one_process: Annotated[
        bool, typer.Option("--inline", help="Run all steps in this process: for a debugger.")
    ] = False,
) -> None:
    """Look at every frame of videos and write one record a frame.

    Example: `onlooker replay lobby.mp4 --collection staff --out lobby.jsonl --annotate seen.mp4`
    """
    if annotate is not None and len(videos) > 1:
        raise typer.BadParameter("--annotate takes one video; replay them one by one")
    if not re.fullmatch(schema.SPEED, speed):
        raise typer.BadParameter(f"--speed is {speed!r}; it may be max, 1x, 0.5x, 8x and the like")
    settings = load()
    if collection is not None:
        settings = replace(settings, match=replace(settings.match, collection=collection))
    outputs = Outputs(
        log=log_at, records=out or Path(f"{videos[0].stem}.jsonl"), publish=publish_at
    )
    _replay(videos, settings, outputs, annotate, one_process, speed)


def _replay(
    videos: list[Path],
    settings: Config,
    outputs: Outputs,
    annotated: Path | None,
    one_process: bool = False,
    speed: str = "max",
) -> None:
    records = outputs.log_path
    _check_outputs(settings, outputs, annotated)
    weights.pull(needed_models(settings))
    streams = feeds(videos, settings, outputs)
    if others := sum(1 for _ in _others(records, streams, settings)):
        raise reader.LogError(
            f"{records}: holds {others} records of these streams that were made with other "
            "settings or from other videos; delete it, or name another file with --log"
        )
    if earlier := sum(feed.start for feed in streams):
        console.print(
            f"{earlier} frames are in {records} already, with the names known then; "
            "delete it to look at them anew"
        )
    errors: dict[str, str] = {}
    if outputs.publish or any(feed.start != feed.frames for feed in streams):
        run = partial(inline if one_process else staged, videos, settings, outputs, speed=speed)
        errors = _run(run, streams)
    seen = summarise(_own(records, streams, settings))
    _print_summary(seen)
    if annotated is not None:
        with console.status("drawing"):
            draw(videos[0], _own(records, streams, settings), annotated)
        console.print(f"annotated video  {annotated}", soft_wrap=True)
    for path in filter(None, (outputs.records, records)):
        console.print(f"records         {path}", soft_wrap=True)
    for stream, error in errors.items():
        complaints.print(f"{stream} ended early: {error}")
    if seen.failed:
        complaints.print(f"{seen.failed} frames could not be looked at; their records say why")
    if seen.failed == seen.frames:
        raise RunError(f"no frame of {', '.join(map(str, videos))} could be looked at")


def _check_outputs(settings: Config, outputs: Outputs, annotated: Path | None) -> None:
    """What would end the run at its end, or in a worker, ends it before its beginning."""
    if settings.match.collection is not None:
        with Store(outputs.store or default_path()) as store:
            store.collection(settings.match.collection)
    if annotated is not None and annotated.exists():
        raise MediaError(f"{annotated}: is there already; delete it, or draw into another file")
    if annotated is not None and not annotated.absolute().parent.is_dir():
        raise MediaError(f"{annotated}: there is no folder {annotated.parent}")


def _others(records: Path, streams: Sequence[Feed], settings: Config) -> Iterator[StreamRecord]:
    """Records of streams of the same names that are not this run's: the same frames once more."""
    names = {feed.stream for feed in streams}
    own = {record.RecordId for record in _own(records, streams, settings)}
    for record in reader.read(records):
        if record.stream in names and record.RecordId not in own:
            yield record


def _own(records: Path, streams: Sequence[Feed], settings: Config) -> Iterator[StreamRecord]:
    """Of the file's records those of these videos, looked at with these settings."""
    digests = {feed.stream: feed.digest for feed in streams}
    for record in reader.read(records):
        digest, index = digests.get(record.stream), record.FrameInformation.Index
        if digest and record.RecordId == record_id(record.stream, digest, index, settings):
            yield record


def _run(
    run: Callable[[Callable[[Status], None]], Status], streams: Sequence[Feed]
) -> dict[str, str]:
    """Show how a replay of `streams` gets on; return why which of them ended early."""
    expected = {feed.stream: feed.frames for feed in streams}
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[fps]:.1f} fps"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("replay", total=None, fps=0.0)
        first: tuple[float, int] | None = None

        def show(status: Status) -> None:
            # Speed counts from the first frame that is done: models have been loaded by then.
            nonlocal first
            settled, elapsed = status.settled, progress.tasks[0].elapsed or 0.0
            if first is None and settled:
                first = (elapsed, settled)
            since, before = first or (0.0, 0)
            fps = (settled - before) / (elapsed - since) if elapsed > since else 0.0
            expected.update((stream.name, stream.frames) for stream in status.streams)
            known = [length for length in expected.values() if length is not None]
            total = sum(known) if len(known) == len(expected) else None
            progress.update(task, completed=settled, total=total, fps=fps)

        status = run(show)
        show(status)
    return {one.name: one.error for one in status.streams if one.error is not None}


def _print_summary(seen: Summary) -> None:
    table = Table(title=f"{seen.frames} frames, {seen.faces} faces", title_justify="left")
    for heading in ("", "seen", "from", "to", "frames", "best"):
        table.add_column(heading, justify="left" if heading in ("", "seen") else "right")
    lines = seen.text[:LINES_SHOWN]
    for kind, sightings in (("who", seen.people), ("what", lines)):
        for sighting in sightings:
            table.add_row(
                kind,
                sighting.name,
                f"{sighting.first:.1f} s",
                f"{sighting.last:.1f} s",
                str(sighting.frames),
                f"{sighting.best:.1f}",
            )
        table.add_section()
    console.print(table)
    if len(seen.text) > len(lines):
        console.print(f"and {len(seen.text) - len(lines)} more lines in fewer frames")


@app.command()
def watch(
    endpoint: Annotated[str, typer.Argument(help="Where a replay publishes.")],
    stream: Annotated[list[str] | None, typer.Option(help="Only this stream; repeatable.")] = None,
    kind: Annotated[list[str] | None, typer.Option(help="Only this kind; repeatable.")] = None,
    since: Annotated[
        int | None,
        typer.Option(help="Begin behind this Sequence of each stream, 0: with the first. [now]"),
    ] = None,
    key: Annotated[
        Path | None, typer.Option(help="File with your key, for a publisher that asks for one.")
    ] = None,
    server: Annotated[
        str | None, typer.Option(help="The publisher's public key.", metavar="PUBLIC")
    ] = None,
) -> None:
    """Print records as they are published, one JSON line each, until the publisher ends.

    Waits for a publisher that is not there yet; what is missed meanwhile is made up for.
    Example: `onlooker watch tcp://127.0.0.1:5555 --stream lobby --since 0`
    """
    try:
        records = subscribe(
            endpoint,
            stream or (),
            kind or (),
            since,
            keys=curve_keys.read(key) if key else None,
            server=server,
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    heard, first = 0, 0
    try:
        for record in records:
            heard, first = heard + 1, first or record.Sequence
            sys.stdout.buffer.write(encode(record) + b"\n")
            sys.stdout.buffer.flush()
    except KeyboardInterrupt:
        return
    beginning = f", from Sequence {first} on" if first > 1 else ""
    complaints.print(f"the publisher has ended; it sent {heard} such records{beginning}")


@config_app.command("show")
def config_show() -> None:
    """Print the configuration in force, as a file that could be kept; URLs without passwords.

    Example: `onlooker config show > all.toml`
    """
    path = find()
    settings = load()
    print(f"# from {path}" if path else "# defaults; no configuration file was found")
    streams = {
        name: replace(source, url=shown(source.url)) for name, source in settings.streams.items()
    }
    if streams != settings.streams:
        print("# users, passwords and what follows a question mark are left out of URLs")
    print(dump(replace(settings, streams=streams)), end="")


@config_app.command("check")
def config_check(
    path: Annotated[Path | None, typer.Argument(help="File to check.")] = None,
    no_sources: Annotated[
        bool, typer.Option("--no-sources", help="Do not try whether the streams can be opened.")
    ] = False,
) -> None:
    """Say whether a configuration file can be used and each stream opened, and if not, why.

    Example: `onlooker config check onlooker.toml`
    """
    settings = load(path)
    for name in needed_models(settings):
        session.choose(weights.card(name), settings.runtime.provider)
    cli_stream.check(settings)
    if settings.streams and not no_sources:
        with console.status("trying the streams"):
            found = trials(settings.streams)
        for name, cause in found.items():
            if cause is not None:
                complaints.print(Text.assemble(("error:", "red"), f" [streams.{name}] {cause}"))
        if any(found.values()):
            raise typer.Exit(1)
    console.print(f"{path or find() or 'the defaults'}: fine", soft_wrap=True)
