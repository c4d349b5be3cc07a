"""The formats of the store's file: the statements that lead from each one to the next.

`number` of a face or a deletion is its change number; `deletions.face` is the number of what was
deleted. `users.made` is the change number of the user, `users.number` that of the mean of its
faces' vectors, which is NULL if there are none; `deletions.face` may be one of the latter.
"""

import sqlite3

import numpy as np

from onlooker.file_format import FileFormat
from onlooker.identity.faces import Metric, Vectors, are_off
from onlooker.models.card import WeightsError, space

APPLICATION_ID = 0x4F6E6C6B  # "Onlk": SQLite's own mark for files of one program

FORMAT_1 = """
CREATE TABLE counter (change INTEGER NOT NULL);
INSERT INTO counter VALUES (0);
CREATE TABLE collections (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    model TEXT NOT NULL,
    created REAL NOT NULL,
    born INTEGER NOT NULL,
    change INTEGER NOT NULL
);
CREATE TABLE faces (
    number INTEGER PRIMARY KEY,
    collection INTEGER NOT NULL REFERENCES collections (id) ON DELETE CASCADE,
    face_id TEXT NOT NULL,
    image_id TEXT NOT NULL,
    external_image_id TEXT,
    box_left REAL NOT NULL,
    box_top REAL NOT NULL,
    box_width REAL NOT NULL,
    box_height REAL NOT NULL,
    confidence REAL NOT NULL,
    vector BLOB NOT NULL,
    UNIQUE (collection, face_id)
);
CREATE INDEX faces_in_order ON faces (collection, number);
CREATE TABLE deletions (
    number INTEGER PRIMARY KEY,
    collection INTEGER NOT NULL REFERENCES collections (id) ON DELETE CASCADE,
    face INTEGER NOT NULL
);
CREATE INDEX deletions_in_order ON deletions (collection, number);
"""
FORMAT_2 = """
CREATE TABLE keys (store BLOB NOT NULL, secret BLOB NOT NULL);
INSERT INTO keys VALUES (randomblob(16), randomblob(32));
ALTER TABLE collections ADD COLUMN faces INTEGER NOT NULL DEFAULT 0;
ALTER TABLE collections ADD COLUMN users INTEGER NOT NULL DEFAULT 0;
ALTER TABLE collections ADD COLUMN method TEXT NOT NULL DEFAULT 'auto';
UPDATE collections
    SET faces = (SELECT count(*) FROM faces WHERE faces.collection = collections.id);
CREATE INDEX collections_in_order ON collections (born);
CREATE TABLE tags (
    collection INTEGER NOT NULL REFERENCES collections (id) ON DELETE CASCADE,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (collection, key)
) WITHOUT ROWID;
CREATE TABLE users (
    made INTEGER PRIMARY KEY,
    collection INTEGER NOT NULL REFERENCES collections (id) ON DELETE CASCADE,
    user_id TEXT NOT NULL,
    faces INTEGER NOT NULL DEFAULT 0,
    number INTEGER UNIQUE,
    vector BLOB,
    UNIQUE (collection, user_id)
);
CREATE INDEX users_made ON users (collection, made);
CREATE INDEX users_in_order ON users (collection, number);
ALTER TABLE faces ADD COLUMN user INTEGER REFERENCES users (made);
CREATE INDEX faces_of_users ON faces (user, number) WHERE user IS NOT NULL;
CREATE TABLE requests (
    operation TEXT NOT NULL,
    token TEXT NOT NULL,
    digest BLOB NOT NULL,
    made REAL NOT NULL,
    answer BLOB NOT NULL,
    PRIMARY KEY (operation, token)
) WITHOUT ROWID;
CREATE INDEX requests_by_age ON requests (made);
"""

FORMAT_3 = """
ALTER TABLE collections ADD COLUMN metric TEXT NOT NULL DEFAULT 'cosine';
"""

MIGRATIONS = (FORMAT_1, FORMAT_2, FORMAT_3)
"""From each format to the next one; the empty file's is 0."""
SAMPLES = 100
"""Vectors of a collection that show how they are compared, if no card says it."""


def migrate(database: sqlite3.Connection, version: int) -> None:
    """Bring a file of format `version` up to date, within the caller's transaction."""
    for number in range(version, len(MIGRATIONS)):
        for statement in MIGRATIONS[number].split(";\n"):
            database.execute(statement)
        if MIGRATIONS[number] is FORMAT_3:
            _store_metrics(database)
    database.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")


FILE = FileFormat("a store of collections", APPLICATION_ID, len(MIGRATIONS), migrate)


def metric_of(model: str, vectors: Vectors) -> Metric:
    """Return how vectors of `model`, of which some are given, are compared.

    The model's card says it. If there is no card, vectors of length 1 are compared by cosine.
    """
    try:
        return space(model).calibration.metric
    except WeightsError:
        return "euclidean" if len(vectors) and are_off(vectors).any() else "cosine"


def _store_metrics(database: sqlite3.Connection) -> None:
    for id_, model in database.execute("SELECT id, model FROM collections").fetchall():
        blobs = database.execute(
            "SELECT vector FROM faces WHERE collection = ? ORDER BY number LIMIT ?", (id_, SAMPLES)
        ).fetchall()
        same = [blob for (blob,) in blobs if len(blob) == len(blobs[0][0])]
        vectors = np.array([np.frombuffer(blob, "<f4") for blob in same], np.float32)
        metric = metric_of(model, vectors)
        database.execute("UPDATE collections SET metric = ? WHERE id = ?", (metric, id_))
