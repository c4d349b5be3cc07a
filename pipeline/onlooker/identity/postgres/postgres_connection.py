"""A connection to PostgreSQL that runs the store's statements, and its errors in plain words."""

import functools
from collections.abc import Iterable, Sequence
from typing import Any

import psycopg
from psycopg import conninfo, errors

from onlooker.identity.errors import (
    StoreError,
    StoreFull,
    StoreLocked,
    StoreReadOnly,
    StoreUnreachable,
)
from onlooker.identity.postgres.postgres_tables import SCHEMA

CONNECT_SECONDS = 5
"""Time to wait for a connection."""
LOCK_SECONDS = 10.0
"""Time to wait for another process that writes before giving up."""
SILENT_SECONDS = 30
"""Time after which the server ends a transaction whose client is silent, and a connection to a
machine that does not answer is given up on both sides."""

SETTINGS = {
    "search_path": f"{SCHEMA},public",
    "lock_timeout": f"{LOCK_SECONDS:.0f}s",
    "idle_in_transaction_session_timeout": f"{SILENT_SECONDS}s",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "synchronous_commit": "on",
    "client_encoding": "UTF8",
    "jit": "off",
}
"""Settings of a session; all may be set by any user."""

CAUSES: tuple[tuple[type[psycopg.Error], type[StoreError], str], ...] = (
    (
        errors.LockNotAvailable,
        StoreLocked,
        f"another process has kept it locked for {LOCK_SECONDS:.0f} s; try again when that process "
        "is done",
    ),
    (
        errors.TooManyConnections,
        StoreLocked,
        "the server has no connection left; try again, or raise max_connections there",
    ),
    (errors.DiskFull, StoreFull, "nothing was changed; free some space there and try again"),
    (
        errors.ReadOnlySqlTransaction,
        StoreReadOnly,
        "it cannot be written: name the primary server, not a replica",
    ),
    (
        errors.InsufficientPrivilege,
        StoreError,
        f"let the user create the schema {SCHEMA} and use it; see docs/postgres.md",
    ),
    (errors.UniqueViolation, StoreError, "the name is taken already; nothing was changed"),
    (
        psycopg.OperationalError,
        StoreUnreachable,
        "check that the server runs, that this machine reaches it, and the user, password and "
        "database; a request that failed may be sent again",
    ),
)
"""The error and the advice for each cause, the most special first."""


class PostgresConnection:
    """A connection in which each statement is a transaction, except inside `transaction`."""

    def __init__(self, url: str) -> None:
        self.place = place_of(url)
        try:
            self.psycopg = psycopg.connect(
                conninfo.make_conninfo(
                    url,
                    connect_timeout=CONNECT_SECONDS,
                    application_name="onlooker",
                    options=" ".join(f"-c {name}={value}" for name, value in SETTINGS.items()),
                    tcp_user_timeout=SILENT_SECONDS * 1000,
                    keepalives_idle=10,
                    keepalives_interval=5,
                    keepalives_count=3,
                ),
                autocommit=True,
                cursor_factory=psycopg.RawCursor,
            )
        except psycopg.Error as error:
            raise explain(self.place, error) from None
        self._cursor = functools.partial(self.psycopg.cursor, binary=True)

    @property
    def usable(self) -> bool:
        """Whether it is connected and in no transaction."""
        status = self.psycopg.info.transaction_status
        return not self.psycopg.closed and status == psycopg.pq.TransactionStatus.IDLE

    def execute(self, query: str, values: Sequence[Any] = (), /) -> psycopg.Cursor[Any]:
        return self._cursor().execute(numbered(query), values)

    def executemany(self, query: str, values: Iterable[Sequence[Any]], /) -> psycopg.Cursor[Any]:
        cursor = self._cursor()
        cursor.executemany(numbered(query), values)
        return cursor

    def close(self) -> None:
        self.psycopg.close()


@functools.lru_cache(1024)
def numbered(query: str) -> bytes:
    """Return a statement with $1, $2 in place of each `?`."""
    parts = query.split("?")
    marked = [f"${number}{part}" for number, part in enumerate(parts[1:], 1)]
    return (parts[0] + "".join(marked)).encode()


def place_of(url: str) -> str:
    """Return a URL without its password, for messages. Raises StoreError for a bad one."""
    try:
        parts = conninfo.conninfo_to_dict(url)
    except psycopg.Error:  # whose text may have parts of the password
        raise StoreError(
            "[store] url: it is not of the form postgresql://user@host:5432/database; special "
            "characters of a password are written as %40 and the like, or it is in PGPASSWORD"
        ) from None
    user = f"{parts['user']}@" if parts.get("user") else ""
    port = f":{parts['port']}" if parts.get("port") else ""
    return f"postgresql://{user}{parts.get('host') or ''}{port}/{parts.get('dbname') or ''}"


def explain(place: str, error: psycopg.Error) -> StoreError:
    """Return the StoreError that says what an error of PostgreSQL means and what to do."""
    if "too many clients" in str(error) or "connection slots" in str(error):
        # libpq has no code for what the server says before a session begins.
        error = errors.TooManyConnections(str(error))
    found = (cause for cause in CAUSES if isinstance(error, cause[0]))
    _, kind, advice = next(found, (None, StoreError, "this is unexpected, please report it"))
    text = " ".join(str(error).split())
    return kind(f"{place}: {text}; {advice}")
