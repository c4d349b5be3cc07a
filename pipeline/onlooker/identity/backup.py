"""Copies of a whole store, and whether it is whole.

A backup is one SQLite file as it was at one moment, made while others read and write.
"""

import secrets
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import numpy as np

from onlooker.identity import schema
from onlooker.identity.database import alone, check, explain
from onlooker.identity.errors import CopyError
from onlooker.identity.faces import KINDS
from onlooker.identity.search import index_file
from onlooker.identity.search.index_file import to_disk
from onlooker.identity.store import Store


def verify(store: Store) -> Iterator[str]:
    """What is wrong with a store, if anything: one sentence each. Reads all of it.

    StoreDamaged where the file itself is not sound.
    """
    with store.database.reading() as database:
        check(store.path, database)
        for table, *_ in database.execute("PRAGMA foreign_key_check"):
            yield f"a row of {table} belongs to nothing"
        counted = database.execute(
            f"SELECT {schema.ROW}, name, "
            "(SELECT count(*) FROM faces WHERE collection = collections.id), "
            "(SELECT count(*) FROM users WHERE collection = collections.id), "
            "(SELECT count(DISTINCT length(vector)) FROM faces WHERE collection = collections.id) "
            "FROM collections WHERE name NOT LIKE '/%'"
        ).fetchall()
        for *values, name, faces, people, lengths in counted:
            row = schema.Row(*values)
            if (faces, people) != (row.faces, row.users):
                yield (
                    f"{name}: it has {faces} faces and {people} users, and says {row.faces} and "
                    f"{row.users}"
                )
            for kind in KINDS:
                place = index_file.place_of(store.path.parent, name, row.model, kind)
                if index_file.is_damaged(place):
                    yield (
                        f"{name}: its index file is damaged and not used; a search will have it "
                        "made anew"
                    )
            if lengths > 1:
                yield f"{name}: its vectors are of {lengths} lengths"
        for number, vector in database.execute("SELECT number, vector FROM faces"):
            if not np.isfinite(np.frombuffer(vector, "<f4")).all():
                yield f"face number {number}: its vector is not made of finite numbers"


def backup(store: Store, to: Path) -> None:
    """Copy a store as it is now into the file `to`; CopyError where there is one."""
    if to.exists():
        raise CopyError(f"{to}: is there already; delete it, or name another file")
    part = to.with_name(f"{to.name}.{secrets.token_hex(4)}.part")
    try:
        with closing(store.database.connect()) as database:
            database.execute("VACUUM INTO ?", (str(part),))
        to_disk(part)
        part.rename(to)
        to_disk(to.parent)
    except sqlite3.Error as error:
        raise explain(to, error) from error
    except OSError as error:
        raise CopyError(f"{to}: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)


def restore(path: Path, source: Path) -> Path | None:
    """Put a backup in the place of the store at `path`; where what was there is kept, if any was.

    Nothing is touched unless the backup is whole. StoreError, and StoreLocked while a process has
    the store open.
    """
    if not source.is_file():
        raise CopyError(f"{source}: no such file")
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    try:
        _copy(source, part)
        with Store(part) as store, store.database.reading() as database:
            check(source, database)
        with Store(part) as store:
            store.database.write(_be_another)
        to_disk(part)
        with alone(path):
            old = _put_aside(path)
            part.rename(path)
            to_disk(path.parent)
            for file in (path.parent / "index").glob("*"):
                file.unlink()
    except OSError as error:
        raise CopyError(f"{path}: {error.strerror}") from error
    finally:
        for ending in ("", ".lock"):
            part.with_name(part.name + ending).unlink(missing_ok=True)
    return old


def _copy(source: Path, to: Path) -> None:
    """Copy a database, also one that is in use."""
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


def _be_another(database: sqlite3.Connection) -> None:
    """Files derived from the store that this was are not this one's, nor are its page tokens."""
    database.execute("UPDATE keys SET store = randomblob(16), secret = randomblob(32)")


def _put_aside(path: Path) -> Path | None:
    """Give a store that nobody has open another name, and say which."""
    if not path.exists():
        return None
    # What is in the log goes into the file; one that is damaged keeps its log beside it.
    with suppress(sqlite3.Error), closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    old = path.with_name(f"{path.name}.{time.strftime('%Y%m%d-%H%M%S')}")
    for ending in ("", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            path.with_name(path.name + ending).rename(old.with_name(old.name + ending))
    return old
