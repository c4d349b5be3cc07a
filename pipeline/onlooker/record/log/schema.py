"""The tables of the record log, and how a log of an earlier format becomes one of today's."""

import sqlite3
from typing import BinaryIO

from onlooker.file_format import FileFormat, statements

APPLICATION_ID = 1330531403
"""SQLite's mark of the kind of file: "ONLK"."""
MARK_OFFSET = 68
"""Place of the mark in an SQLite file, as its documentation of the database header says."""
FORMAT = 6
"""Number of the tables' form, kept as SQLite's user_version."""

TIME_INDEX = "CREATE INDEX records_by_time ON records (stream, time);"
STATES = """
CREATE TABLE states (
    stream TEXT NOT NULL,
    stage TEXT NOT NULL,
    epoch TEXT NOT NULL,
    frame INTEGER NOT NULL,
    analysis TEXT NOT NULL,
    state BLOB NOT NULL,
    PRIMARY KEY (stream, stage)
);
"""
"""See `onlooker.record.log.states`."""
VISITS = """
CREATE TABLE visits (
    id BLOB PRIMARY KEY,
    kind TEXT NOT NULL,
    stream INTEGER NOT NULL REFERENCES streams (id),
    name TEXT,
    start REAL NOT NULL,
    end REAL NOT NULL,
    position INTEGER NOT NULL,
    body BLOB NOT NULL,
    vector BLOB
) WITHOUT ROWID;
CREATE INDEX visits_by_time ON visits (kind, end);
CREATE INDEX visits_by_position ON visits (position);
"""
"""See `onlooker.record.log.visit_table`."""
TOPICS = """
CREATE TABLE topics (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created REAL NOT NULL
);
CREATE TABLE published (
    topic INTEGER NOT NULL REFERENCES topics (id),
    position INTEGER NOT NULL,
    PRIMARY KEY (topic, position)
) WITHOUT ROWID;
"""
"""See `onlooker.record.log.topics`."""
TOPIC_OF_EACH_STREAM = """
INSERT INTO topics (id, name, created) SELECT id, name, coalesce(
    (SELECT written FROM records WHERE stream = streams.id ORDER BY sequence LIMIT 1), 0)
FROM streams;
INSERT INTO published (topic, position) SELECT stream, position FROM records
ORDER BY stream, sequence;
"""
BEST_FACES = """
CREATE TABLE best_faces (
    id BLOB PRIMARY KEY,
    position INTEGER NOT NULL,
    written REAL NOT NULL,
    jpeg BLOB NOT NULL
);
CREATE INDEX best_faces_by_position ON best_faces (position);
CREATE INDEX best_faces_by_time ON best_faces (written);
"""
"""See `onlooker.record.log.best_faces`."""

FACTS = """
CREATE TABLE facts (id BLOB NOT NULL);
INSERT INTO facts VALUES (randomblob(16));
"""
"""See `id_of`."""

TABLES = f"""
CREATE TABLE streams (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    sequence INTEGER NOT NULL
);
CREATE TABLE records (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    stream INTEGER NOT NULL REFERENCES streams (id),
    sequence INTEGER NOT NULL,
    identity BLOB NOT NULL UNIQUE,
    written REAL NOT NULL,
    time REAL NOT NULL,
    body BLOB NOT NULL,
    crc INTEGER NOT NULL,
    UNIQUE (stream, sequence)
);
{TIME_INDEX}
CREATE TABLE names (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    UNIQUE (kind, name)
);
CREATE TABLE seen (
    name INTEGER NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (name, position)
) WITHOUT ROWID;
CREATE INDEX seen_by_position ON seen (position);
{STATES}
{VISITS}
{TOPICS}
{BEST_FACES}
{FACTS}
"""
"""`identity` is the RecordId's 16 bytes; `written` is the epoch time of the commit, `time` that of
the frame. `seen` lists the people and lines of text (`names`) of each record."""

UPGRADES = {
    1: TIME_INDEX + STATES,
    2: VISITS,
    3: TOPICS + TOPIC_OF_EACH_STREAM,
    4: BEST_FACES,
    5: FACTS,
}
"""The statements that turn a log of each earlier format into one of the next."""
FILE = FileFormat("a log of records", APPLICATION_ID, FORMAT, statements(UPGRADES), TABLES)


def create(database: sqlite3.Connection) -> None:
    """Make the tables in an empty database. Raises sqlite3.Error."""
    database.execute("PRAGMA auto_vacuum = INCREMENTAL")
    database.execute("PRAGMA journal_mode = WAL")
    FILE.make(database)


def id_of(database: sqlite3.Connection) -> bytes:
    """Return the 16 bytes of a log that no other has. Raises sqlite3.Error if its format is old."""
    (found,) = database.execute("SELECT id FROM facts").fetchone()
    return bytes(found)


def is_log(file: BinaryIO) -> bool:
    """Return whether an open file is a log, or empty."""
    header = file.read(MARK_OFFSET + 4)
    return not header or header[MARK_OFFSET:] == APPLICATION_ID.to_bytes(4, "big")
