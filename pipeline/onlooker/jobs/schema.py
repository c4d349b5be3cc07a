"""The tables of the database of jobs, and of the file of one job's results."""

from onlooker.file_format import FileFormat, statements

JOBS = """
CREATE TABLE secret (secret BLOB NOT NULL);
CREATE TABLE jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    request BLOB NOT NULL,
    state TEXT NOT NULL,
    message TEXT,
    metadata BLOB,
    progress REAL NOT NULL DEFAULT 0,
    frames INTEGER NOT NULL DEFAULT 0,
    results INTEGER NOT NULL DEFAULT 0,
    created REAL NOT NULL,
    begun REAL,
    ended REAL,
    attempts INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX jobs_by_state ON jobs (state, number);
CREATE TABLE notices (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    topic TEXT NOT NULL,
    body TEXT NOT NULL,
    made REAL NOT NULL,
    due REAL NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    error TEXT
);
CREATE TABLE messages (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    queue TEXT NOT NULL,
    id TEXT NOT NULL,
    body TEXT NOT NULL,
    sent REAL NOT NULL,
    visible REAL NOT NULL,
    receives INTEGER NOT NULL DEFAULT 0,
    first_received REAL,
    receipt TEXT UNIQUE
);
CREATE INDEX messages_by_queue ON messages (queue, visible);
"""
"""attempts of a job: times that it was begun since it last made progress. notices: the outbox, one
row for each notice that a topic has not taken. messages: those of queues; `visible` is the time
from which one can be received."""
JOBS_FILE = FileFormat("a database of jobs", 0x4F6E6C4A, 1, statements({}), JOBS)
"""Its application_id reads "OnlJ"."""

RESULTS = """
CREATE TABLE state (
    only INTEGER PRIMARY KEY CHECK (only = 0),
    video TEXT NOT NULL,
    done INTEGER NOT NULL,
    damaged INTEGER NOT NULL DEFAULT 0,
    tracks BLOB NOT NULL,
    complete INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE results (
    number INTEGER PRIMARY KEY,
    time INTEGER NOT NULL,
    person INTEGER NOT NULL,
    confidence REAL NOT NULL,
    body BLOB NOT NULL,
    matches BLOB,
    place INTEGER
);
CREATE UNIQUE INDEX results_by_place ON results (place) WHERE place IS NOT NULL;
CREATE TABLE people (person INTEGER PRIMARY KEY, matches BLOB NOT NULL);
CREATE TABLE same_people (person INTEGER PRIMARY KEY, earlier INTEGER NOT NULL);
"""
"""state: SHA-256 of the video, number of frames that are done, those of them
that could not be decoded, snapshot of the tracks. results: the
entries in the order of time; `place` is that in the order of people. people: FaceMatches of each
track that has ended. same_people: tracks that turned out to continue earlier ones."""
