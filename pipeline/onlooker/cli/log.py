"""`onlooker log`: what the record log holds, as JSON lines."""

import re
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from onlooker.config.load import load
from onlooker.record.log.reader import Log, LogError, default_path
from onlooker.rekognition.shapes import encode

app = typer.Typer(no_args_is_help=True, help="What was recorded: follow, search, export, check.")
console = Console(markup=False, emoji=False, highlight=False)
complaints = Console(stderr=True, markup=False, emoji=False, highlight=False, soft_wrap=True)

LOOK = 0.1
"""Seconds between looks at a log that is followed."""

LogPath = Annotated[
    Path | None,
    typer.Option("--log", help="Log to read. [default: that of `onlooker stream`]"),
]
StreamName = Annotated[str | None, typer.Option(help="Only this stream.")]


@app.command()
def tail(
    log: LogPath = None,
    stream: StreamName = None,
    number: Annotated[
        int, typer.Option("--number", "-n", min=0, help="Records to begin with.")
    ] = 10,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes.")] = False,
) -> None:
    """Print the last records, one JSON line each.

    Example: `onlooker log tail --stream door --follow`
    """
    with Log(_path(log)) as opened:
        position = opened.position
        for entry in opened.last(number, stream):
            _print(entry.body)
        try:
            while follow:
                for entry in opened.after(position):
                    position = entry.position
                    if stream in (None, entry.stream):
                        _print(entry.body)
                time.sleep(LOOK)
        except KeyboardInterrupt:
            return


@app.command()
def export(
    log: LogPath = None,
    stream: StreamName = None,
    since: Annotated[int, typer.Option(help="Only what has a higher Sequence.", min=0)] = 0,
) -> None:
    """Print all records, one JSON line each; of a damaged log all that can be read.

    Example: `onlooker log export --log lobby.db > lobby.jsonl`
    """
    damaged = 0
    with Log(_path(log)) as opened:
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
    person: Annotated[str | None, typer.Option(help="ExternalImageId, or FaceId.")] = None,
    text: Annotated[str | None, typer.Option(help="Letters that a line of text has.")] = None,
    start: Annotated[
        str | None, typer.Option("--from", help="From this time on.", metavar="TIME")
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", help="Before this time.", metavar="TIME")
    ] = None,
) -> None:
    """Print the records that meet all conditions, one JSON line each.

    TIME is 95.5 or 1:35 in a video, 2026-11-25T08:00 for a camera. Example: `onlooker log query
    --person ada_lovelace --from 2026-11-25T08:00`
    """
    with Log(_path(log)) as opened:
        found = opened.query(stream, person, text, _seconds(start), _seconds(end))
        number = 0
        for record in found:
            number += 1
            _print(encode(record))
        streams = opened.sequences_at(opened.position)
    complaints.print(f"{number} records")
    if not number and stream is not None and stream not in streams:
        complaints.print(
            f"no stream {stream!r} is in the log; it has {', '.join(streams) or 'none'}"
        )


@app.command()
def check(log: LogPath = None) -> None:
    """Look whether every record is what was written, and none is missing in between.

    Example: `onlooker log check --log lobby.db`
    """
    with Log(_path(log)) as opened:
        wrong = opened.check()
        number = len(opened) if not wrong else 0
    for each in wrong:
        complaints.print(each)
    if wrong:
        raise LogError(f"{_path(log)}: is damaged; `onlooker log export` saves what can be read")
    console.print(f"{_path(log)}: {number} records, all whole", soft_wrap=True)


def _path(given: Path | None) -> Path:
    if given is not None:
        return given
    configured = load().log.path
    return Path(configured) if configured else default_path()


def _print(body: bytes) -> None:
    try:
        sys.stdout.buffer.write(body + b"\n")
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise LogError(f"cannot be written out: {error.strerror}") from error


def _seconds(time: str | None) -> float | None:
    """Seconds of a video, or since 1970."""
    if time is None:
        return None
    if re.fullmatch(r"(\d+:){0,2}\d+(\.\d+)?", time):
        seconds = 0.0
        for part in time.split(":"):
            seconds = seconds * 60 + float(part)
        return seconds
    try:
        return datetime.fromisoformat(time).timestamp()
    except ValueError:
        raise typer.BadParameter(
            f"{time!r} is no time: write 95.5 or 1:35 in a video, 2026-11-25T08:00 for a camera"
        ) from None
