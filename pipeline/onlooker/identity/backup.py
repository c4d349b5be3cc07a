"""Backups of the whole store, and checks that it is sound.

A backup is one SQLite file as of one moment, made while others read and write.
"""

import os
import secrets
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import numpy as np

from onlooker import durable_file
from onlooker.durable_file import Occupied
from onlooker.identity import index_paths, schema
from onlooker.identity.database import Database, check, exclusive, explain
from onlooker.identity.errors import CopyError
from onlooker.identity.faces import KINDS
from onlooker.identity.search import index_file
from onlooker.identity.store import Store
from onlooker.sql import Connection

PAGE_FACES = 2_000
"""Faces that are read at a time."""


def verify(store: Store) -> Iterator[str]:
    """Read the whole store and yield a sentence for each thing that is wrong.

    Raises StoreDamaged if the file itself is damaged.
    """
    if store.url is None:
        with closing(_file(store).connect()) as file:
            check(store.path, file)
            for table, *_ in file.execute("PRAGMA foreign_key_check"):
                yield f"a row of {table} belongs to nothing"
    with store.database.reading() as database:
        counted = database.execute(
            f"SELECT {schema.ROW}, name, "
            "(SELECT count(*) FROM faces WHERE collection = collections.id), "
            "(SELECT count(*) FROM users WHERE collection = collections.id), id "
            "FROM collections WHERE name NOT LIKE '/%'"
        ).fetchall()
        for *values, name, faces, users, collection in counted:
            row = schema.Row(*values)
            if (faces, users) != (row.faces, row.users):
                yield (
                    f"{name}: it has {faces} faces and {users} users, but its counters say "
                    f"{row.faces} and {row.users}"
                )
            for kind in KINDS:
                base = index_paths.base_path(store.index_folder, name, row.model, kind)
                if index_file.is_damaged(base):
                    yield (
                        f"{name}: its index file is damaged and not used; the next search writes a "
                        "new one"
                    )
            lengths: set[int] = set()
            for number, vector in _vectors(database, collection):
                lengths.add(len(vector) // 4)
                if not np.isfinite(np.frombuffer(vector, "<f4")).all():
                    yield f"face number {number}: its vector is not made of finite numbers"
            if len(lengths) > 1:
                yield f"{name}: its vectors are of {len(lengths)} lengths"


def _vectors(database: Connection, collection: int) -> Iterator[tuple[int, bytes]]:
    """Yield number and vector of all faces, of which few are in memory at a time."""
    after = 0
    while found := database.execute(
        "SELECT number, vector FROM faces WHERE collection = ? AND number > ? "
        "ORDER BY number LIMIT ?",
        (collection, after, PAGE_FACES),
    ).fetchall():
        yield from found
        after = found[-1][0]


def _file(store: Store) -> Database:
    """Return the database of a store in a file. Raises CopyError for one in PostgreSQL."""
    if not isinstance(store.database, Database):
        raise CopyError(
            "the collections are in PostgreSQL: back that up with `pg_dump --schema=onlooker`, or "
            "copy them into a file with `onlooker collection copy --to FILE`"
        )
    return store.database


def backup(store: Store, to: Path) -> None:
    """Copy the store as it is now into the file `to`. Raises CopyError, Occupied if that exists."""
    try:
        with (
            durable_file.replacing(to, overwrite=False) as part,
            closing(_file(store).connect()) as database,
        ):
            # As bytes: the name need not be UTF-8.
            database.execute("VACUUM INTO CAST(? AS TEXT)", (os.fsencode(part),))
    except Occupied:
        raise
    except sqlite3.Error as error:
        raise explain(to, error) from error
    except OSError as error:
        raise CopyError(f"{to}: {error.strerror}") from error


def restore(path: Path, source: Path) -> Path | None:
    """Replace the store at `path` by a backup, and return where the old store is kept, if any.

    Nothing is changed unless the backup is sound. Raises StoreError, and StoreLocked if a process
    has the store open.
    """
    if not source.is_file():
        raise CopyError(f"{source}: no such file")
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _copy(source, part)
        with Store(part) as store:
            with closing(_file(store).connect()) as database:
                check(source, database)
            store.database.write(_change_keys)
        durable_file.to_disk(part)
        with exclusive(path):
            old = _keep(path)
            part.rename(path)
            durable_file.to_disk(path.parent)
            index_paths.remove_all(index_paths.folder_of(path))
    except OSError as error:
        raise CopyError(f"{path}: {error.strerror}") from error
    finally:
        for ending in ("", ".lock"):
            with suppress(OSError):
                part.with_name(part.name + ending).unlink(missing_ok=True)
    return old


def _copy(source: Path, to: Path) -> None:
    """Copy a database, which may be in use."""
    try:
        with (
            closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as old,
            closing(sqlite3.connect(to)) as new,
        ):
            old.backup(new)
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_NOTADB:
            raise CopyError(
                f"{source}: is no backup; name a file that `onlooker collection backup` wrote"
            ) from error
        raise explain(source, error) from error


def _change_keys(database: Connection) -> None:
    """Invalidate index files and page tokens of the store that was backed up."""
    database.execute("UPDATE keys SET store = randomblob(16), secret = randomblob(32)")


def _keep(path: Path) -> Path | None:
    """Rename a store that no process has open, and return its new path."""
    if not path.exists():
        return None
    # The log is merged into the file; a damaged file keeps its log beside it.
    with suppress(sqlite3.Error), closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    old = path.with_name(f"{path.name}.{time.strftime('%Y%m%d-%H%M%S')}")
    durable_file.claim(old)
    for suffix in ("", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(old.with_name(old.name + suffix))
    return old
