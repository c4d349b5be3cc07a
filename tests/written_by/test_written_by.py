"""Files that releases wrote, opened by this version: every release adds a folder, none goes."""

import gzip
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from tests.support import people, readings, stores
from tests.written_by.write import HERE, SETTINGS, VISITORS, version_of_source, write
from typer.testing import CliRunner

from onlooker.api import usage
from onlooker.cli.commands import app
from onlooker.config.load import load
from onlooker.config.schema import SourceConfig
from onlooker.identity.people.journal import Journal
from onlooker.identity.store import Store
from onlooker.jobs.job_database import JobDatabase
from onlooker.record.log.reader import Log
from onlooker.record.log.visit_table import VisitQuery
from onlooker.record.log.writer import Writer
from onlooker.rekognition.shapes import Appearance, Reading
from onlooker.stream.stream_table import StreamTable

RELEASES = sorted(path for path in HERE.iterdir() if (path / "faces.db.gz").is_file())
MAX_BYTES = 300_000
"""Size of a release's files in the repository."""


@pytest.fixture(params=RELEASES, ids=lambda path: path.name)
def data(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folder of data, with the files that a release wrote."""
    monkeypatch.setenv("ONLOOKER_DATA", str(tmp_path))
    monkeypatch.setenv("ONLOOKER_CONFIG", str(tmp_path / "onlooker.toml"))
    (tmp_path / "onlooker.toml").write_bytes((request.param / "onlooker.toml").read_bytes())
    (tmp_path / "jobs").mkdir()
    for packed in request.param.glob("*.db.gz"):
        folder = tmp_path / "jobs" if packed.stem == "jobs.db" else tmp_path
        (folder / packed.stem).write_bytes(gzip.decompress(packed.read_bytes()))
    return tmp_path


def test_this_release_has_its_files_and_they_are_small() -> None:
    assert version_of_source() in {path.name for path in RELEASES}
    for release in RELEASES:
        assert sum(path.stat().st_size for path in release.iterdir()) < MAX_BYTES


def test_a_user_of_any_release_can_migrate(data: Path) -> None:
    for options in (["--dry-run"], []):
        done = CliRunner().invoke(app, ["migrate", *options], catch_exceptions=False)
        assert done.exit_code == 0
        assert len(done.output.splitlines()) == 7
    done = CliRunner().invoke(app, ["migrate", "--dry-run"], catch_exceptions=False)
    assert done.output.count("up to date") == 6
    # A changed table without a new format, and a step to it, fails here.
    new = data / "new"
    new.mkdir()
    write(new)
    for path in [*new.glob("*.db"), *new.glob("jobs/*.db")]:
        assert tables(data / path.relative_to(new)) == tables(path)


def test_collections_and_people(data: Path) -> None:
    with Store(data / "faces.db") as store:
        found = {one.name: (one.faces, one.users) for one in store.collections().collections}
        assert found["staff"] == (50, 3)
        assert found["guests"] == (0, 0)
        faces = store.faces("staff").faces
        first = stores.new(0)
        assert faces[0].external_image_id == "face0"
        assert faces[0].box == pytest.approx(first.box)
        np.testing.assert_array_equal(
            store.vectors("staff", [faces[0].face_id]), [first.vector], strict=False
        )
        assert store.tags("staff") == {"team": "red"}
        assert [each.user_id for each in store.users("staff").users] == ["ann", "bob", "nobody"]
        store.delete_faces("staff", [faces[0].face_id])
    with Journal(data / "people.db") as journal:
        owners = [journal.person_of(each.appearance) for each in VISITORS]
        assert owners[0] == owners[1] != owners[2] == owners[3]
        assert None not in owners
    # Who comes again is known.
    [again] = people.join(data, people.visitor(1, 5))
    assert again == owners[0]


def test_the_log(data: Path) -> None:
    with Writer(data / "records.db") as log:
        assert log.check() == []
    with Log(data / "records.db") as log:
        assert len(list(log.read())) == len(VISITORS) + 1
        visits = log.visits(Appearance, VisitQuery())
        assert [visit.event.AppearanceId for visit in visits] == [
            each.appearance for each in VISITORS
        ]
        assert log.best_face(VISITORS[0].appearance) == people.chip(1)
        [line] = log.visits(Reading, VisitQuery())
        assert (line.event.ReadingId, line.event.DetectedText) == (
            readings.READING.format(7),
            "Gate 12",
        )
        assert [record.stream for record in log.query(text="gate")] == ["yard"]


def test_streams_jobs_usage_and_settings(data: Path) -> None:
    with StreamTable(data / "streams.db") as table:
        assert table.added() == {"cellar": SourceConfig(url="test://moving", fps=2)}
        assert table.paused() == {"cellar"}
        assert len(table.secret) == 32
    with closing(JobDatabase(data / "jobs")) as jobs:
        assert jobs.rows("SELECT state FROM jobs ORDER BY number") == [
            ("SUCCEEDED",),
            ("IN_PROGRESS",),
        ]
        assert jobs.rows("SELECT count(*) FROM messages") == [(1,)]
    [month] = usage.months(data / "faces.db")
    assert usage.calls(data / "faces.db", month) == {"DetectFaces": 3}
    assert load().streams == SETTINGS.streams


def tables(path: Path) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as database:
        found = database.execute("SELECT name, sql FROM sqlite_schema ORDER BY name").fetchall()
        for mark in ("application_id", "user_version", "auto_vacuum"):
            found += database.execute(f"PRAGMA {mark}").fetchall()
    return found
