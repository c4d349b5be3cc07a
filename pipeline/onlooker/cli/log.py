"""`onlooker log`: the records of a log, as JSON lines."""

import re
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.table import Table

from onlooker import durable_file
from onlooker.cli.terminal import complaints, counted, plain
from onlooker.config.load import load
from onlooker.durable_file import Occupied
from onlooker.errors import printable
from onlooker.escape import PEOPLE, STREAMS
from onlooker.identity.people.people import are_people, open_people
from onlooker.identity.store import default_path as default_store
from onlooker.models.card import space
from onlooker.record.log.reader import Log, LogError, default_path
from onlooker.record.log.visit_table import Event, Visit, VisitQuery, encode_event
from onlooker.rekognition.record_schema import record_schema
from onlooker.rekognition.shapes import Appearance, Reading, decode, encode

app = typer.Typer(no_args_is_help=True, help="Follow, search, export and check a log of records.")

VIDEO_TIME = r"(\d+:){0,2}\d+(\.\d+)?"
"""Form of a TIME of a video; the times of a camera are dates."""
LONGEST_VIDEO_SECONDS = 1e8
"""Times beyond this, three years, are those of a camera: seconds since 1970."""
POLL_SECONDS = 0.1
"""Time between queries for new records while a log is followed."""

LogPath = Annotated[
    Path | None,
    typer.Option("--log", help="Log to read. [default: that of `onlooker stream`]"),
]
StreamName = Annotated[
    str | None,
    typer.Option(help="Only this stream.", parser=STREAMS.meant, metavar="NAME"),
]

From = Annotated[str | None, typer.Option("--from", help="At this time or later.", metavar="TIME")]
Until = Annotated[str | None, typer.Option("--to", help="Before this time.", metavar="TIME")]
PersonName = Annotated[
    str | None,
    typer.Option(help="Name or FaceId.", parser=PEOPLE.meant, metavar="NAME"),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON line each.")]


@app.command()
def tail(
    log: LogPath = None,
    stream: StreamName = None,
    number: Annotated[
        int, typer.Option("--number", "-n", min=0, help="Number of records to begin with.")
    ] = 10,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Wait for more records.")] = False,
) -> None:
    """Print the last records, one JSON line each.

    Example: `onlooker log tail --stream door --follow`
    """
    with Log(_path(log)) as opened:
        _tell_unknown(opened, stream)
        position = opened.position
        for entry in opened.last(number, stream):
            if entry.position <= position:  # later ones come below
                _print(entry.body)
        while follow:
            for entry in opened.after(position):
                position = entry.position
                if stream in (None, entry.stream):
                    _print(entry.body)
            time.sleep(POLL_SECONDS)


@app.command()
def export(
    log: LogPath = None,
    stream: StreamName = None,
    since: Annotated[int, typer.Option(help="Only records after this Sequence.", min=0)] = 0,
) -> None:
    """Print all records, one JSON line each; from a damaged log those that are intact.

    Example: `onlooker log export --log lobby.db > lobby.jsonl`
    """
    damaged = 0
    with Log(_path(log)) as opened:
        _tell_unknown(opened, stream)
        for position, entry in opened.salvage():
            if entry is None:
                damaged += 1
                complaints.print(f"record {position} cannot be read")
            elif stream in (None, entry.stream) and entry.sequence > since:
                if entry.intact:
                    _print(entry.body)
                else:
                    damaged += 1
                    complaints.print(f"record {position} of {entry.stream} is damaged")
    if damaged:
        raise LogError(f"{_path(log)}: {damaged} damaged records were left out")


@app.command()
def query(
    log: LogPath = None,
    stream: StreamName = None,
    person: PersonName = None,
    text: Annotated[str | None, typer.Option(help="Part of a line of text.")] = None,
    start: From = None,
    end: Until = None,
) -> None:
    """Print the records that meet all conditions, one JSON line each.

    TIME is 95.5 or 1:35 in a video, 2026-11-25T08:00 for a camera. Example: `onlooker log query
    --person ada_lovelace --from 2026-11-25T08:00`
    """
    since, until = _span(start, end)
    number = 0
    with Log(_path(log)) as opened:
        for record in opened.query(stream, person, text and printable(text), since, until):
            number += 1
            _print(encode(record))
        complaints.print(counted(number, "record"))
        if not number:
            _tell_unknown(opened, stream)
            _tell_other_times(opened, stream, start or end)


@app.command()
def appearances(
    log: LogPath = None,
    stream: StreamName = None,
    person: PersonName = None,
    start: From = None,
    end: Until = None,
    faces: Annotated[
        Path | None,
        typer.Option(
            help="Write the best face of each to APPEARANCE_ID.jpg here.", metavar="FOLDER"
        ),
    ] = None,
    json: AsJson = False,
) -> None:
    """Print who was there and when, one row for each visit, oldest first.

    TIME is as `onlooker log query` has it. Example: `onlooker log appearances --stream door --from
    2026-11-25T08:00 --faces today`
    """
    wanted = VisitQuery(stream, person, *_span(start, end), others=_visits_of(person))
    with Log(_path(log)) as opened:
        found = opened.visits(Appearance, wanted)
        if faces is not None:
            _write_faces(opened, [event.AppearanceId for _, event in found], faces)
    rows = [
        (
            PEOPLE.shown(event.Person) if event.Person else f"unknown {event.Index}",
            0.0 if event.Match is None else event.Match.Similarity,
        )
        for _, event in found
    ]
    _print_visits(found, rows, "who", json)


@app.command()
def texts(
    log: LogPath = None,
    stream: StreamName = None,
    text: Annotated[str | None, typer.Option(help="Part of the text.")] = None,
    start: From = None,
    end: Until = None,
    json: AsJson = False,
) -> None:
    """Print what was to be read and when, one row for each line of text, oldest first.

    TIME is as `onlooker log query` has it. Example: `onlooker log texts --text exit`
    """
    wanted = VisitQuery(stream, text and printable(text), *_span(start, end))
    with Log(_path(log)) as opened:
        found = opened.visits(Reading, wanted)
    rows = [(event.DetectedText, event.Confidence) for _, event in found]
    _print_visits(found, rows, "text", json)


def _visits_of(person: str | None) -> list[str]:
    """Return the appearances of somebody whom no collection knows, whatever the name was then."""
    if person is None:
        return []
    config = load()
    place = space(config.faces.embedder), default_store(), config.store.url
    if not are_people(*place):
        return []
    with open_people(*place) as people:
        journal = people.journal
        return [each.appearance for each in journal.visitors(journal.resolve(person))]


def _print_visits(
    found: Sequence[Visit[Event]], rows: Sequence[tuple[str, float]], heading: str, json: bool
) -> None:
    """Print visits as JSON lines or as a table; `rows` has the name and the value of each."""
    if json:
        for visit in found:
            _print(encode_event(visit.stream, visit.event))
        return
    table = Table()
    for name in ("stream", heading, "from", "seconds", "%", ""):
        table.add_column(name, no_wrap=name == "from")
    for (stream, event), (name, value) in zip(found, rows, strict=True):
        table.add_row(
            STREAMS.shown(stream),
            name,
            clock(event.Start),
            f"{event.End - event.Start:.1f}",
            f"{value:.1f}" if value else "",
            "" if event.State == "end" else "not over",
        )
    plain.print(table)


def _write_faces(log: Log, appearances: Sequence[str], folder: Path) -> None:
    """Write the best faces that are kept, a JPEG each. Raises Occupied if one is there already."""
    images = {each: image for each in appearances if (image := log.best_face(each)) is not None}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for appearance, image in images.items():
            with durable_file.replacing(folder / f"{appearance}.jpg", overwrite=False) as part:
                part.write_bytes(image)
    except Occupied:
        raise
    except OSError as error:
        raise LogError(f"{folder}: {error.strerror}; faces cannot be written there") from error
    complaints.print(f"{len(images)} of {len(appearances)} appearances have an image of a face")


def clock(time: float) -> str:
    """Return seconds of a video as they are, and seconds since 1970 as a date."""
    if time < LONGEST_VIDEO_SECONDS:
        return f"{time:.1f} s"
    return datetime.fromtimestamp(time).isoformat(" ", "seconds")


@app.command()
def check(log: LogPath = None) -> None:
    """Verify that every record is what was written, and that none is missing in between.

    Example: `onlooker log check --log lobby.db`
    """
    with Log(_path(log)) as opened:
        faults = opened.check()
        number = 0 if faults else len(opened)
    for fault in faults:
        complaints.print(fault)
    if faults:
        raise LogError(f"{_path(log)}: is damaged; `onlooker log export` saves what can be read")
    plain.print(f"{_path(log)}: {counted(number, 'record')}, all intact")


@app.command()
def schema() -> None:
    """Print the JSON Schema of records, and of the events in them.

    Example: `onlooker log schema > record.schema.json`
    """
    typer.echo(msgspec.json.format(msgspec.json.encode(record_schema())).decode())


def _path(given: Path | None) -> Path:
    if given is not None:
        return given
    configured = load().log.path
    path = Path(configured) if configured else default_path()
    if not path.exists():
        raise LogError(
            f"{path}: no log of records yet; `onlooker run` makes it, and a replay its own: name "
            "that with --log"
        )
    return path


def _print(body: bytes) -> None:
    sys.stdout.buffer.write(body + b"\n")
    sys.stdout.buffer.flush()


def _tell_unknown(log: Log, stream: str | None) -> None:
    """Say so if the log has no such stream."""
    streams = log.sequences_at(log.position)
    if stream is not None and stream not in streams:
        complaints.print(
            f"no stream {stream!r} is in the log; it has {', '.join(streams) or 'none'}"
        )


def _tell_other_times(log: Log, stream: str | None, time: str | None) -> None:
    """Say so if records were asked for by times of a video, and are a camera's, or vice versa."""
    newest = log.last(1, stream)
    if time is None or not newest:
        return
    camera = decode(newest[0].body).time > LONGEST_VIDEO_SECONDS
    if camera != _is_date(time):
        form = "2026-11-25T08:00, as of a camera" if camera else "95.5 or 1:35, as of a video"
        complaints.print(f"{time} may be the wrong kind of time: the log has {form}")


def _span(start: str | None, end: str | None) -> tuple[float | None, float | None]:
    """Return both times in seconds. Raises typer.BadParameter if nothing can be between them."""
    since, until = seconds(start), seconds(end)
    if start is not None and end is not None and since is not None and until is not None:
        if _is_date(start) != _is_date(end):
            raise typer.BadParameter(
                f"--from {start} and --to {end}: one is a time of a video, the other of a camera"
            )
        if since >= until:
            raise typer.BadParameter(f"--from {start} is not before --to {end}")
    return since, until


def _is_date(time: str) -> bool:
    return re.fullmatch(VIDEO_TIME, time) is None


def seconds(time: str | None) -> float | None:
    """Return a TIME of the command line in seconds of a video, or since 1970.

    Raises typer.BadParameter if it is neither.
    """
    if time is None:
        return None
    if not _is_date(time):
        total = 0.0
        for part in time.split(":"):
            total = total * 60 + float(part)
        return total
    try:
        return datetime.fromisoformat(time).timestamp()
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f"{time!r} is not a time: write 95.5 or 1:35 in a video, 2026-11-25T08:00 for a camera"
        ) from None
