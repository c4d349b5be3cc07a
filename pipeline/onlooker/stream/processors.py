"""Stream processors: Amazon's way to have a stream analysed, and their states.

    Create        Start             (runs)            Stop            (has ended)
    -> STOPPED ->         STARTING ->      RUNNING ->      STOPPING ->          STOPPED

A processor that cannot run is FAILED, and says why. The calls change what is wanted, at once; the
process that runs the streams follows, and reports the states. Whether a processor is wanted is
kept, so that it runs again after a restart.
"""

import re
from typing import Literal

import msgspec
from msgspec import field
from msgspec.structs import replace

from onlooker.config.schema import STREAM_NAME, SourceConfig
from onlooker.errors import OnlookerError
from onlooker.stream.stream_table import StreamTable, now

State = Literal["STOPPED", "STARTING", "RUNNING", "FAILED", "STOPPING", "UPDATING"]
MAX_PROCESSORS = 1000
MIN_THRESHOLD = 80.0
"""Least Similarity of a match in a stream, as Amazon has it, whatever was asked for."""
URL, FPS, POLICY = "onlooker:url", "onlooker:fps", "onlooker:policy"
"""Tags that give a processor a source that the configuration does not have."""
NOT_RUN = (
    "no Onlooker runs the streams of this machine's user; start `onlooker run`, with [streams] or "
    "[serve] in its configuration"
)

_STREAM = re.compile(
    r"arn:[a-z\d-]+:(?:kinesisvideo|kinesis):[a-z\d-]+:\d{12}:stream/([^/]+)(/.*)?"
)


class ProcessorExists(OnlookerError):
    """A processor of this name is there already."""


class ProcessorNotFound(OnlookerError):
    """There is no processor of this name."""


class ProcessorInUse(OnlookerError):
    """The processor's state does not permit this."""


class TooManyProcessors(OnlookerError):
    """There is no room for another processor."""


class BadProcessor(OnlookerError):
    """A processor's streams or tags cannot be used; the text says why."""


def stream_of(arn: str) -> str:
    """Return the name in the ARN of a Kinesis video stream or data stream. Raises BadProcessor."""
    found = _STREAM.fullmatch(arn)
    if found is None or not re.fullmatch(STREAM_NAME, found[1]):
        raise BadProcessor(
            f"{arn}: a stream's ARN ends in stream/NAME or stream/NAME/DIGITS, and its name has 1 "
            "to 128 letters, digits, dots, hyphens and underscores"
        )
    return found[1]


class Processor(msgspec.Struct, frozen=True, kw_only=True):
    """A stream processor that searches the faces of a stream in a collection."""

    name: str
    input: str
    """ARN of a Kinesis video stream, by whose name the stream is found."""
    output: str
    """ARN of a Kinesis data stream, whose name is the topic of the records."""
    collection: str
    threshold: float | None = None
    role: str
    tags: dict[str, str] = field(default_factory=dict)
    created: float = field(default_factory=now)
    """Epoch seconds, as `updated` is."""

    wanted: bool = False
    """Whether it is to run."""
    status: State = "STOPPED"
    message: str | None = None
    """Why it failed, or why no images come while it runs."""
    updated: float = 0.0

    @property
    def stream(self) -> str:
        return stream_of(self.input)

    @property
    def topic(self) -> str:
        return stream_of(self.output)

    def source(self) -> SourceConfig | None:
        """Return the source in its tags; None if they name none. Raises BadProcessor."""
        if URL not in self.tags:
            if others := {FPS, POLICY} & self.tags.keys():
                raise BadProcessor(f"Tags: {', '.join(sorted(others))} needs {URL} beside it")
            return None
        named = {"url": self.tags[URL], "fps": self.tags.get(FPS), "policy": self.tags.get(POLICY)}
        try:
            return msgspec.convert(named, SourceConfig, strict=False)
        except msgspec.ValidationError as error:
            raise BadProcessor(f"Tags: {error}") from None

    def applied(self, source: SourceConfig) -> SourceConfig:
        """Return a source as this processor has it analysed."""
        threshold = MIN_THRESHOLD if self.threshold is None else self.threshold
        return replace(
            source,
            enabled=True,
            faces=True,
            collection=self.collection,
            threshold=max(MIN_THRESHOLD, threshold),
            topic=self.topic,
        )


_KEPT_APART = ("wanted", "status", "message", "updated")
"""Members that are columns of their own, and change while the others stay."""


def find(table: StreamTable, name: str) -> Processor:
    """Return a processor as it is. Raises ProcessorNotFound."""
    found = _read(table.rows(f"{_SELECT} WHERE name = ?", name))
    if not found:
        raise not_found(name)
    return _shown(table, found[0])


def after(table: StreamTable, name: str, limit: int) -> list[Processor]:
    """Return up to `limit` processors whose names come after `name`, in the names' order."""
    found = table.rows(f"{_SELECT} WHERE name > ? ORDER BY name LIMIT ?", name, limit)
    return [_shown(table, processor) for processor in _read(found)]


def stored(table: StreamTable) -> list[Processor]:
    """Return all processors as they are stored, whether or not a process runs the streams."""
    return _read(table.rows(f"{_SELECT} ORDER BY name"))


def create(table: StreamTable, processor: Processor) -> None:
    """Store a new processor, which is stopped.

    Raises ProcessorExists, TooManyProcessors, and BadProcessor if its streams or tags cannot be
    used.
    """
    processor.source()
    stream = processor.stream
    assert processor.topic, "stream_of has checked it"
    with table.transaction():
        if table.selected("SELECT 1 FROM processors WHERE name = ?", processor.name):
            raise ProcessorExists(f"there is a stream processor {processor.name!r} already")
        [(number,)] = table.selected("SELECT count(*) FROM processors")
        if number >= MAX_PROCESSORS:
            raise TooManyProcessors(f"limit - {MAX_PROCESSORS}")
        table.execute(
            "INSERT INTO processors VALUES (?, ?, ?, 0, 'STOPPED', NULL, ?)",
            processor.name,
            stream,
            _encoded(processor),
            processor.created,
        )


def start(table: StreamTable, name: str) -> None:
    """Have a stopped or failed processor run.

    Raises ProcessorNotFound, and ProcessorInUse if it runs, or another one of the same stream does.
    """
    runs = table.has_runner
    with table.change_streams():
        processor = _locked(table, name, runs)
        if processor.status not in ("STOPPED", "FAILED"):
            raise ProcessorInUse(f"it is {processor.status}")
        other = table.selected(
            "SELECT name FROM processors WHERE stream = ? AND name != ? "
            "AND (wanted OR status = 'STOPPING')",
            processor.stream,
            name,
        )
        if other:
            raise ProcessorInUse(
                f"the stream {processor.stream} is the input of {other[0][0]}, which runs; a "
                "stream has one processor at a time"
            )
        _set(table, name, True, "STARTING", None)


def stop(table: StreamTable, name: str) -> None:
    """Have a running processor stop. Raises ProcessorNotFound, ProcessorInUse."""
    runs = table.has_runner
    with table.change_streams():
        processor = _locked(table, name, runs)
        if processor.status != "RUNNING":
            raise ProcessorInUse(f"it is {processor.status}")
        _set(table, name, False, "STOPPING", None)


def delete(table: StreamTable, name: str) -> None:
    """Remove a processor that does not run. Raises ProcessorNotFound, ProcessorInUse."""
    runs = table.has_runner
    with table.change_streams():
        processor = _locked(table, name, runs)
        if processor.status not in ("STOPPED", "FAILED"):
            raise ProcessorInUse(f"it is {processor.status}; stop it first")
        table.execute("DELETE FROM processors WHERE name = ?", name)


def tag(table: StreamTable, name: str, tags: dict[str, str], removed: tuple[str, ...] = ()) -> None:
    """Add and remove tags; a source in them counts from the next start.

    Raises ProcessorNotFound, and BadProcessor if the tags cannot be used.
    """
    with table.transaction():
        before = _locked(table, name, runs=True)
        kept = {key: value for key, value in before.tags.items() if key not in removed}
        processor = replace(before, tags={**kept, **tags})
        processor.source()
        table.execute(
            "UPDATE processors SET body = ? WHERE name = ?", _encoded(processor), processor.name
        )


def report(
    table: StreamTable,
    before: Processor,
    status: State,
    message: str | None,
    *,
    again: bool = False,
) -> None:
    """Write down the state of a processor, unless a call has changed what is wanted since `before`.

    What has failed or ended by itself is not wanted any more, unless it is to run `again` after
    the next start of the program.
    """
    if (status, message) == (before.status, before.message):
        return
    wanted = before.wanted and (again or status in ("STARTING", "RUNNING"))
    with table.transaction():
        unchanged = table.selected(
            "SELECT 1 FROM processors WHERE name = ? AND wanted = ? AND status = ?",
            before.name,
            before.wanted,
            before.status,
        )
        if unchanged:
            when = before.updated if status == before.status else None
            _set(table, before.name, wanted, status, message, when)


def begin(table: StreamTable) -> None:
    """Begin again: what was wanted starts, all else that was not stopped is."""
    for processor in stored(table):
        if processor.wanted:
            report(table, processor, "STARTING", None)
        elif processor.status in ("STARTING", "RUNNING", "STOPPING"):
            report(table, processor, "STOPPED", None)


def not_found(name: str) -> ProcessorNotFound:
    """Return the error of a processor that is not there."""
    return ProcessorNotFound(f"Requested resource not found: there is no stream processor {name!r}")


_SELECT = "SELECT body, wanted, status, message, updated FROM processors"


def _read(rows: "list[tuple[bytes, int, State, str | None, float]]") -> list[Processor]:
    decode = msgspec.json.Decoder(Processor).decode
    return [
        replace(decode(body), wanted=bool(wanted), status=status, message=message, updated=updated)
        for body, wanted, status, message, updated in rows
    ]


def _encoded(processor: Processor) -> bytes:
    members = msgspec.to_builtins(processor)
    return msgspec.json.encode({k: v for k, v in members.items() if k not in _KEPT_APART})


def _locked(table: StreamTable, name: str, runs: bool) -> Processor:
    """Return a processor within a transaction. Raises ProcessorNotFound."""
    found = _read(list(table.selected(f"{_SELECT} WHERE name = ?", name)))
    if not found:
        raise not_found(name)
    return found[0] if runs else _without_runner(found[0])


def _set(
    table: StreamTable,
    name: str,
    wanted: bool,
    status: State,
    message: str | None,
    when: float | None = None,
) -> None:
    table.execute(
        "UPDATE processors SET wanted = ?, status = ?, message = ?, updated = ? WHERE name = ?",
        wanted,
        status,
        message,
        now() if when is None else when,
        name,
    )


def _shown(table: StreamTable, processor: Processor) -> Processor:
    return processor if table.has_runner else _without_runner(processor)


def _without_runner(processor: Processor) -> Processor:
    """Return a processor as it is while no process runs the streams."""
    if processor.wanted:
        return replace(processor, status="FAILED", message=NOT_RUN)
    if processor.status == "STOPPING":
        return replace(processor, status="STOPPED")
    return processor
