"""`onlooker replay`: every frame of videos, one record each, and a summary."""

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Annotated

import typer
from msgspec.structs import replace
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from onlooker import durable_file, program_log
from onlooker.cli import cluster_replay, standard_streams
from onlooker.cli.ending import if_stopped
from onlooker.cli.pull_models import pull_models
from onlooker.cli.terminal import (
    STDOUT,
    command,
    complaints,
    console,
    counted,
    plain,
    stdout_for_results,
)
from onlooker.config import schema
from onlooker.config.load import load
from onlooker.config.schema import KEEP_ALL, NEARLY_URL, Config
from onlooker.escape import PEOPLE, STREAMS
from onlooker.identity.search.engines import check_collection
from onlooker.identity.store import default_path
from onlooker.media.errors import MediaError
from onlooker.media.url import redacted
from onlooker.media.video_writer import check_suffix
from onlooker.models import session
from onlooker.models.card import card as find_card
from onlooker.models.card import space
from onlooker.record.destinations import destination
from onlooker.record.frame_record import record_id
from onlooker.record.log import reader
from onlooker.record.sinks import endpoints
from onlooker.record.sinks.line_writer import LineWriter, following
from onlooker.record.summary import Summary
from onlooker.rekognition.shapes import StreamRecord
from onlooker.render.annotate import annotate as draw
from onlooker.render.blur import Blur, parse
from onlooker.stream import gateway_process, sink_processes
from onlooker.stream.errors import RunError
from onlooker.stream.feeds import Feed, feeds, named
from onlooker.stream.inline import inline_feeds
from onlooker.stream.messages import Status
from onlooker.stream.outputs import Outputs
from onlooker.stream.sink_status import SinkStatus
from onlooker.stream.supervisor import replay_feeds
from onlooker.vision import analyser

MAX_LINES_SHOWN = 20
"""Lines of text in the summary."""


def replay(
    videos: Annotated[list[Path], typer.Argument(help="Videos, analysed frame by frame.")],
    collection: Annotated[
        str | None, typer.Option(help="Collection to search faces in.", metavar="NAME")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="JSON-lines file for the records; - is stdout. [default: the video's name .jsonl]"
        ),
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
        Path | None, typer.Option(help="Video to draw the results into (one video only).")
    ] = None,
    blur: Annotated[
        str | None,
        typer.Option(
            help="Make faces unrecognisable in the annotated video.",
            metavar="all|unknown|except=NAME,...",
        ),
    ] = None,
    speed: Annotated[
        str,
        typer.Option(metavar="max|1x|8x|...", help="As fast as possible, or as it was recorded."),
    ] = "max",
    one_process: Annotated[
        bool, typer.Option("--inline", help="Run all steps in this process: for a debugger.")
    ] = False,
    cluster: Annotated[
        str | None,
        typer.Option(
            help="Analyse one video per core of a Ray cluster; --out is a folder then. [records]",
            metavar="local|ray://HOST:10001",
        ),
    ] = None,
) -> None:
    """Analyse every frame of videos and write one record per frame.

    Example: `onlooker replay lobby.mp4 --collection staff --out lobby.jsonl --annotate seen.mp4`
    """
    program_log.begin()
    policy = _check_options(videos, annotate, blur, speed)
    settings = load()
    if collection is not None:
        settings = replace(settings, match=replace(settings.match, collection=collection))
    if cluster is not None:
        if log_at or publish_at or annotate or one_process or speed != "max" or out == STDOUT:
            raise typer.BadParameter("--cluster takes --collection and a folder as --out only")
        cluster_replay.replay_videos(videos, settings, out or Path("records"), cluster)
        return
    lines = out or Path(f"{videos[0].stem}.jsonl")
    outputs = Outputs(
        log=log_at or (Path(f"{videos[0].stem}.db") if lines == STDOUT else None),
        records=lines if lines != STDOUT else None,
        publish=publish_at,
        limits=replace(KEEP_ALL, best_faces=settings.log.best_faces),
    )
    with (
        stdout_for_results() if lines == STDOUT else nullcontext(),
        if_stopped(lambda: _recorded(outputs.log_path, videos)),
    ):
        printed = LineWriter(standard_streams.results()) if lines == STDOUT else None
        replay_videos(
            videos, settings, outputs, annotate, one_process, speed, blur=policy, printed=printed
        )
        plain.print(f"visits          {command()} log appearances --log {outputs.log_path}")


def _check_options(
    videos: Sequence[Path], annotate: Path | None, blur: str | None, speed: str
) -> Blur | None:
    """Return whom to hide in the annotated video. Raises BadParameter, BlurError."""
    if annotate is not None and len(videos) > 1:
        raise typer.BadParameter("--annotate takes one video; replay them one by one")
    if blur is not None and annotate is None:
        raise typer.BadParameter("--blur needs --annotate, the video to write")
    policy = None if blur is None else parse(blur)
    for video in videos:
        if NEARLY_URL.match(str(video)):
            raise typer.BadParameter(
                f"{redacted(str(video))} is a URL, not a file; run it with "
                "`onlooker stream NAME=URL`"
            )
    if not re.fullmatch(schema.SPEED, speed):
        raise typer.BadParameter(f"--speed is {speed!r}; it may be max, 1x, 0.5x, 8x and the like")
    return policy


def _recorded(records: Path, videos: Sequence[Path]) -> str:
    """Return what a replay that was stopped has left in its log, which may have other videos'."""
    if not records.exists():
        return "nothing was recorded"
    with reader.Log(records) as log:
        number = sum(1 for stream in named(videos) for _ in log.record_ids(stream))
    shown = counted(number, "frame is", "frames are")
    return f"{shown} recorded in {records}; the same command continues there"


def replay_videos(
    videos: list[Path],
    settings: Config,
    outputs: Outputs,
    annotated: Path | None,
    one_process: bool = False,
    speed: str = "max",
    store: Path | None = None,
    blur: Blur | None = None,
    printed: LineWriter | None = None,
) -> None:
    """Replay `videos`, print the summary, and draw the results into `annotated`.

    store: file of the collections; None for the user's own. printed: gets the records meanwhile.
    """
    _check(settings, outputs, annotated, store)
    if annotated is not None and blur is not None:
        durable_file.claim(annotated)  # one that is there may show the faces
    pull_models(analyser.cards(settings))
    with _nothing_empty_left(outputs):
        streams = feeds(videos, settings, outputs, speed)
        _check_log(outputs.log_path, streams)
        if annotated is not None and not any(feed.start for feed in streams):
            durable_file.claim(annotated)
        errors, unsent = _analyse(streams, settings, outputs, one_process, store, printed)
        summary = _summarise(videos[0], streams, outputs, annotated, blur)
        _report(summary, outputs, errors, unsent)
        if summary.failed == summary.frames:
            raise RunError(f"no frame of {', '.join(map(str, videos))} could be processed")


def _check_log(records: Path, streams: Sequence[Feed]) -> None:
    """Say so if the log has frames of these streams. Raises LogError if they are of others."""
    if others := other_records(records, streams):
        raise reader.LogError(
            f"{records}: holds {others} records of these streams that were made with other "
            "settings or from other videos; delete it, or name another file with --log"
        )
    if earlier := sum(feed.start for feed in streams):
        console.print(
            f"{counted(earlier, 'frame is', 'frames are')} in {records} already, with the names "
            "known then; delete it to process them again"
        )


def _analyse(
    streams: Sequence[Feed],
    settings: Config,
    outputs: Outputs,
    one_process: bool,
    store: Path | None,
    printed: LineWriter | None,
) -> tuple[dict[str, str], list[SinkStatus]]:
    """Record what is not in the log yet, and send it.

    Returns the cause for each stream that ended early, and the sinks that have not sent all.
    """
    records, errors = outputs.log_path, dict[str, str]()
    printing: AbstractContextManager[Callable[[], None]] = nullcontext(lambda: None)
    if printed is not None:
        printed.streams = frozenset(feed.stream for feed in streams)
        printing = following(records, printed)
    with sink_processes.running(records, settings.sinks, live=False) as sinks:
        followers = [sinks] if settings.sinks else []

        def run(show: Callable[[Status], None]) -> Status:
            def show_and_check(status: Status) -> None:
                show(status)
                check_printed()

            if one_process:
                return inline_feeds(streams, settings, show_and_check, store=store)
            return replay_feeds(streams, settings, show_and_check, store=store, followers=followers)

        with printing as check_printed:
            if outputs.publish or not all(feed.finished for feed in streams):
                errors = _run(run, streams)
        with console.status("sending to sinks") if settings.sinks else nullcontext():
            return errors, sinks.finish()


def _summarise(
    video: Path,
    streams: Sequence[Feed],
    outputs: Outputs,
    annotated: Path | None,
    blur: Blur | None,
) -> Summary:
    """Print the summary; draw the results into `annotated` unless it is there. Return the summary.

    It is printed also if the drawing fails.
    """
    summary = Summary()
    summed = summary.counting(own_records(outputs.log_path, streams))
    drawn = annotated is not None and annotated.exists()
    try:
        if annotated is not None and not drawn:
            with console.status("drawing"):
                draw(video, summed, annotated, blur)
    finally:
        for _ in summed:
            pass
        print_summary(summary)
    if annotated is not None:
        plain.print(f"annotated video  {annotated}")
    if drawn:
        complaints.print(f"{annotated}: was there already; delete it to have it drawn again")
    return summary


def _report(
    summary: Summary, outputs: Outputs, errors: Mapping[str, str], unsent: Sequence[SinkStatus]
) -> None:
    """Print where the records are, and what went wrong."""
    for path in filter(None, (outputs.records, outputs.log_path)):
        plain.print(f"records         {path}")
    for stream, error in errors.items():
        complaints.print(f"{STREAMS.shown(stream)} ended early: {error}")
    if summary.failed:
        failed = counted(summary.failed, "frame")
        complaints.print(f"{failed} could not be processed; the records say why")
    for sink in unsent:
        complaints.print(
            f"[sinks.{sink.name}] {counted(sink.backlog, 'record was', 'records were')} not sent: "
            f"{sink.error or 'it has not started'}; run the same command again to send them"
        )


def _check(settings: Config, outputs: Outputs, annotated: Path | None, store: Path | None) -> None:
    """Raise now what would otherwise end the run at its end, or in another process."""
    for path in filter(None, (outputs.records, outputs.log)):
        if not path.name:
            raise durable_file.Occupied(path, "is a folder")
    if outputs.publish is not None:
        endpoints.check_publishable(outputs.publish, encrypted=False)
        endpoints.check_free(outputs.publish)
    gateway_process.check(settings.workers)
    if settings.match.collection is not None:
        check_collection(
            store or default_path(),
            space(settings.faces.embedder),
            settings.match.collection,
            settings.store.url if store is None else None,
        )
    for name, sink in settings.sinks.items():
        destination.check(name, sink)
    for name in analyser.cards(settings):
        session.choose(find_card(name), settings.runtime.provider)
    if annotated is None:
        return
    check_suffix(annotated)
    if annotated in (outputs.records, outputs.log_path):
        raise MediaError(f"{annotated}: records go there; draw into another file")
    if not annotated.absolute().parent.is_dir():
        raise MediaError(f"{annotated}: there is no folder {annotated.parent}")
    if not (annotated.is_file() and outputs.log_path.exists()):  # else perhaps of this replay
        durable_file.claim(annotated)


@contextmanager
def _nothing_empty_left(outputs: Outputs) -> Iterator[None]:
    """If the block raises, delete the log and the file of records that it made without a record."""
    log = outputs.log_path
    beside = [log.with_name(log.name + suffix) for suffix in ("-wal", "-shm")]  # SQLite's own
    paths = filter(None, (log, *beside, outputs.records))
    new = [path for path in paths if not os.path.lexists(path)]  # a dead link is somebody's, too
    try:
        yield
    except BaseException:
        if log in new and not _has_records(log):
            for path in new:
                path.unlink(missing_ok=True)
        raise


def _has_records(log: Path) -> bool:
    if not log.exists():
        return False
    with reader.Log(log) as opened:
        return next(iter(opened.query()), None) is not None


def other_records(records: Path, streams: Sequence[Feed]) -> int:
    """Return how many records of `streams` the log has from other videos, settings or models."""
    others = 0
    with reader.Log(records) as log:
        for feed in streams:
            own = {
                record_id(feed.stream, feed.digest, index, feed.analysis)
                for index in range(feed.start)
            }
            others += sum(found not in own for found in log.record_ids(feed.stream))
    return others


def own_records(records: Path, streams: Sequence[Feed]) -> Iterator[StreamRecord]:
    """Yield the log's records of `streams` that were made from these videos and settings."""
    with reader.Log(records) as log:
        for feed in streams:
            for record in log.query(stream=feed.stream):
                index = record.FrameInformation.Index
                if record.RecordId == record_id(feed.stream, feed.digest, index, feed.analysis):
                    yield record


def _run(
    run: Callable[[Callable[[Status], None]], Status], streams: Sequence[Feed]
) -> dict[str, str]:
    """Show the progress of a replay of `streams`; return the cause for each that ended early."""
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


def print_summary(summary: Summary) -> None:
    """Print the visits of people and the first lines of text as a table."""
    table = Table(
        title=f"{counted(summary.frames, 'frame')}, {counted(summary.faces, 'face')}",
        title_justify="left",
    )
    for heading in ("", "seen", "from", "to", "frames", "best"):
        table.add_column(heading, justify="left" if heading in ("", "seen") else "right")
    lines = summary.text[:MAX_LINES_SHOWN]
    for kind, sightings in (("who", summary.people), ("what", lines)):
        for sighting in sightings:
            table.add_row(
                kind,
                PEOPLE.shown(sighting.name) if kind == "who" else sighting.name,
                f"{sighting.first:.1f} s",
                f"{sighting.last:.1f} s",
                str(sighting.frames),
                f"{sighting.best:.1f}" if sighting.best else "",  # by [people], without a match
            )
        table.add_section()
    console.print(table)
    if len(summary.text) > len(lines):
        console.print(f"and {len(summary.text) - len(lines)} more lines")
