"""`onlooker watch`: records as they are published."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from onlooker.cli.ending import if_stopped
from onlooker.cli.terminal import complaints, counted
from onlooker.escape import STREAMS
from onlooker.record import curve_keys
from onlooker.record.log.visit_table import encode_event
from onlooker.record.subscribe import subscribe
from onlooker.rekognition.shapes import Appearance, Reading, StreamRecord, encode


def watch(
    endpoint: Annotated[str, typer.Argument(help="Endpoint that the records are published on.")],
    stream: Annotated[
        list[str] | None,
        typer.Option(help="Only this stream; repeatable.", parser=STREAMS.meant, metavar="NAME"),
    ] = None,
    kind: Annotated[list[str] | None, typer.Option(help="Only this kind; repeatable.")] = None,
    events: Annotated[
        bool, typer.Option("--events", help="Print events of people and text, not the records.")
    ] = False,
    since: Annotated[
        int | None,
        typer.Option(min=0, help="Begin after this Sequence of each stream; 0 is the first. [now]"),
    ] = None,
    log: Annotated[
        str | None,
        typer.Option(
            help="Id of the log that --since is of; another one is an error.", metavar="ID"
        ),
    ] = None,
    key: Annotated[
        Path | None, typer.Option(help="File with your key pair, for an encrypted publisher.")
    ] = None,
    server: Annotated[
        str | None, typer.Option(help="The publisher's public key.", metavar="PUBLIC")
    ] = None,
) -> None:
    """Print records as they are published, one JSON line each, until the publisher ends.

    Waits for a publisher that is not there yet, and asks for the records that it missed.
    Example: `onlooker watch tcp://127.0.0.1:5555 --stream lobby --events`
    """
    if key is not None and server is None:
        raise typer.BadParameter("--key needs --server, the publisher's public key")
    try:
        records = subscribe(
            endpoint,
            stream or (),
            kind or (),
            since,
            keys=curve_keys.read(key) if key else None,
            server=server,
            log=log,
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    received, first, last = 0, 0, dict[str, int]()

    def done() -> str:
        """Return what has been received. --since is one number for all streams."""
        [resume] = last.values() if len(last) == 1 else [0]
        return counted(received, "record was received", "records were received") + (
            f"; `--since {resume} --log {records.log}` continues there" if resume else ""
        )

    with if_stopped(done):
        for record in records:
            for line in _events(record) if events else [encode(record)]:
                sys.stdout.buffer.write(line + b"\n")
                sys.stdout.buffer.flush()
            received, first = received + 1, first or record.Sequence
            last[record.stream] = record.Sequence
    beginning = f", from Sequence {first} on" if first > 1 else ""
    complaints.print(f"the publisher has ended; it sent {received} such records{beginning}")


def _events(record: StreamRecord) -> list[bytes]:
    """Return the events of a record that are to be announced, one JSON line each."""
    people = (event for event in record.Appearances if not event.Quiet)
    found: list[Appearance | Reading] = [*people, *record.Readings]
    return [encode_event(record.stream, event) for event in found]
