"""`onlooker migrate`: the user's files in the formats of this version."""

import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from onlooker import durable_file
from onlooker.api import usage
from onlooker.cli.ending import if_stopped
from onlooker.cli.terminal import plain
from onlooker.config.load import find, load
from onlooker.errors import OnlookerError
from onlooker.file_format import FileFormat, FormatError
from onlooker.identity import migrations
from onlooker.identity.database import JOURNAL, exclusive
from onlooker.identity.people import journal, journal_file
from onlooker.identity.store import Store
from onlooker.identity.store import default_path as default_store
from onlooker.jobs import job_database
from onlooker.jobs.job_database import JobDatabase
from onlooker.jobs.schema import JOBS_FILE
from onlooker.record.log import schema
from onlooker.record.log.reader import default_path as default_log
from onlooker.record.log.writer import LOCK_SUFFIX, Writer
from onlooker.stream import stream_table

LOCK_SECONDS = 10.0


class MigrationError(OnlookerError):
    """A file cannot be brought up to date; the text says why."""


@dataclass(frozen=True)
class _File:
    """A file of the user's, and what opens it to write, which brings it up to date."""

    path: Path
    format: FileFormat
    open: Callable[[], AbstractContextManager[object]]
    alone: Callable[[], AbstractContextManager[object]] = nullcontext
    """What keeps programs from using it meanwhile, besides SQLite's own lock. Raises
    OnlookerError."""


def migrate(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be done, and change nothing.")
    ] = False,
    log: Annotated[
        list[Path] | None, typer.Option("--log", help="Another log, such as a replay's.")
    ] = None,
) -> None:
    """Bring files of earlier versions up to date. A copy of each is kept beside it.

    Stop what runs first. A file of a newer version is refused, and then nothing is changed.
    Example: `onlooker migrate --dry-run`
    """
    settings = load()
    plain.print(f"{path}: can be used" if (path := find()) else "no configuration file: defaults")
    if missing := [path for path in log or () if not path.is_file()]:
        raise MigrationError(f"{missing[0]}: no such file; name a log")
    own = Path(settings.log.path) if settings.log.path else default_log()
    # Each once, however often and by whatever name it is given.
    logs = list({path.resolve(): path for path in reversed([own, *(log or ())])}.values())[::-1]
    jobs = job_database.jobs_folder(settings.jobs.folder)
    there = [each for each in _files(default_store(), jobs, logs) if _has_content(each.path)]
    # All are examined before one is changed.
    versions = [(each, _version(each)) for each in there]
    with if_stopped(lambda: "what is listed is done; the same command continues with the others"):
        _bring_up_to_date(versions, dry_run)


def _bring_up_to_date(files: Sequence[tuple[_File, int]], dry_run: bool) -> None:
    """Bring files to their newest formats from the ones given, and list them."""
    for each, found in files:
        if found == each.format.version:
            outcome = "up to date"
        elif dry_run:
            outcome = f"would be copied, and brought to format {each.format.version}"
        else:
            copy = _upgrade(each)
            outcome = f"brought to format {each.format.version}; the old one is {copy}"
        plain.print(f"{each.path}: {each.format.kind}, format {found}: {outcome}")


def _files(store: Path, jobs: Path, logs: list[Path]) -> list[_File]:
    """Return the files that there may be. store: the file of collections; jobs: the folder."""
    people, streams = store.with_name(JOURNAL), stream_table.default_path()
    return [
        _File(store, migrations.FILE, lambda: Store(store), lambda: exclusive(store)),
        _File(people, journal_file.FILE, lambda: journal.Journal(people)),
        *(
            _File(path, schema.FILE, partial(Writer, path), partial(_without_writer, path))
            for path in logs
        ),
        _File(streams, stream_table.FILE, lambda: stream_table.StreamTable(streams)),
        _File(jobs / job_database.NAME, JOBS_FILE, lambda: closing(JobDatabase(jobs))),
        _File(usage.path_of(store), usage.FILE, lambda: nullcontext(usage.months(store))),
    ]


def _has_content(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


def _version(file: _File) -> int:
    """Return a file's format. Raises MigrationError if it is newer, or no file of ours."""
    try:
        with closing(_read_only(file.path)) as database:
            return file.format.found(database)
    except (FormatError, sqlite3.Error) as error:
        raise MigrationError(f"{file.path}: {error}; nothing was changed") from error


def _upgrade(file: _File) -> Path:
    """Copy a file, bring it up to date, and return the copy's path. Raises OnlookerError.

    Others write to it neither between the two nor meanwhile: the copy is what it was.
    """
    copies: list[Path] = []
    try:
        with (
            file.alone(),
            closing(sqlite3.connect(file.path, LOCK_SECONDS, isolation_level=None)) as database,
        ):
            file.format.upgrade(database, lambda: copies.append(_copy(file.path)))
    except sqlite3.Error as error:
        raise MigrationError(f"{file.path}: {error}; stop what runs, and try again") from error
    with file.open():
        return copies[0]


@contextmanager
def _without_writer(log: Path) -> Iterator[None]:
    """Keep other processes from writing to a log. Raises MigrationError if one does."""
    path = log.with_name(log.name + LOCK_SUFFIX)
    there = path.exists()
    try:
        lock = durable_file.FileLock(path, wait=False)
    except BlockingIOError:
        raise MigrationError(f"{log}: a process writes records there; stop it first") from None
    try:
        yield
    finally:
        lock.close(remove=not there)


def _copy(path: Path) -> Path:
    """Copy a database beside it and return the copy's path. Raises MigrationError."""
    copy = path.with_name(f"{path.name}.{time.strftime('%Y%m%d-%H%M%S')}")
    try:
        with (
            durable_file.replacing(copy, overwrite=False) as part,
            closing(_read_only(path)) as database,
        ):
            part.touch(path.stat().st_mode & 0o777)  # sources of streams may have passwords
            # As bytes: the name need not be UTF-8.
            database.execute("VACUUM INTO CAST(? AS TEXT)", (os.fsencode(part),))
    except (OSError, sqlite3.Error) as error:
        raise MigrationError(f"{path}: it cannot be copied to {copy}: {error}") from error
    return copy


def _read_only(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=LOCK_SECONDS, isolation_level=None
    )
