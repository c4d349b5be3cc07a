"""What the commands on collections print, and what they leave behind."""

import json
import os
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest
from tests.support import postgres
from tests.support.commands import ONLOOKER, environment
from typer.testing import CliRunner, Result

from onlooker.cli.collection import _opened_report
from onlooker.cli.commands import app
from onlooker.cli.demo_video import photographs
from onlooker.durable_file import Occupied
from onlooker.identity.errors import StoreError
from onlooker.identity.faces import NewFace
from onlooker.identity.store import Store, default_path


@pytest.fixture(autouse=True)
def _data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONLOOKER_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["collection", *words])


def said(*words: str) -> str:
    done = run(*words)
    assert done.exit_code == 0, done.output
    return done.output


def test_collections_in_postgresql(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Copied from the file, used there, and copied into another file."""
    [first, *_] = fill("staff")
    before = said("list")
    (tmp_path / "onlooker.toml").write_text(f'[store]\nurl = "{postgres.database()}"\n')
    monkeypatch.chdir(tmp_path)
    assert "staff" not in said("list")
    assert said("copy", "--from", str(default_path())) == "staff: 3 faces copied\n"
    assert said("copy", "--from", str(default_path())) == (
        "staff: is there already, left as it is\n"
    )
    assert said("list") == before
    assert "deleted 1 of 1" in said("delete", "staff", "--face", first)
    assert "sound, 2 faces" in said("verify")
    assert "pg_dump" in str(run("backup", str(tmp_path / "copy.db")).exception)
    assert "pg_restore" in str(run("restore", str(tmp_path / "copy.db")).exception)
    assert said("copy", "--to", str(tmp_path / "back.db")) == "staff: 2 faces copied\n"
    with Store(tmp_path / "back.db") as store:
        assert store.collection("staff").faces == 2


def fill(name: str, count: int = 3) -> list[str]:
    vectors = np.eye(192, dtype=np.float32)
    with Store(default_path()) as store:
        store.make_collection(name, "mobilefacenet")
        faces = [
            NewFace(
                picture=b"%d" % place,
                external_image_id=f"face{place}",
                box=(0, 0, 1, 1),
                confidence=99,
                vector=vectors[place],
            )
            for place in range(count)
        ]
        return [face.face_id for face in store.add(name, faces)]


def test_pictures_are_indexed_once_and_what_was_not_is_reported(tmp_path: Path) -> None:
    people = tmp_path / "people" / "eileen"
    people.mkdir(parents=True)
    cv2.imwrite(str(people / "1.png"), photographs().astronaut)
    (people / "2.jpg").write_text("no picture")
    (people / "3.webp").touch()
    (people / "._1.png").touch()
    output = said("index", "staff", "people", "--report", "report.jsonl")
    assert "2 images for staff: 1 indexed, 2 not indexed" in output
    assert "not indexed people/eileen/3.webp: neither JPEG nor PNG by its name" in output
    assert "eileen  1" in output
    line, other = (tmp_path / "report.jsonl").read_text().splitlines()
    assert json.loads(other)["Path"] == "people/eileen/3.webp"
    told = json.loads(line)
    assert told["Path"] == "people/eileen/2.jpg"
    assert told["Reason"].startswith("neither JPEG nor PNG")
    assert "1 indexed already, 2 not indexed" in said("index", "staff", "people")
    assert "eileen" in said("list", "staff")
    assert "100.0" in said("search", "staff", "people/eileen/1.png")


def test_names_in_any_script_stay_apart_and_are_shown_as_they_were(tmp_path: Path) -> None:
    """Müller twice: as Linux and as macOS write it, with another photograph each."""
    names = ["李雷", "王芳", "Möller", "Müller", "Mu\u0308ller", "Anna Schmidt", "Anna_Schmidt"]
    astronaut = photographs().astronaut
    for number, name in enumerate(names):
        (tmp_path / "people" / name).mkdir(parents=True)
        astronaut[0, 0] = number
        cv2.imwrite(str(tmp_path / "people" / name / "1.png"), astronaut)
    output = said("index", "staff", "people", "--jobs", "1")
    assert "7 images for staff: 7 indexed" in output
    written = {"李雷": ":674e.96f7:", "王芳": ":738b.82b3:", "Möller": "M:f6:ller"}
    for name, external in {**written, "Anna Schmidt": "Anna::Schmidt"}.items():
        assert f"  {name} ({external})  1\n" in output
    assert "  Müller (M:fc:ller)  2\n" in output
    assert "  Anna_Schmidt  1\n" in output
    assert "one name Müller for images of 2 folders: people/Mu\u0308ller, people/Müller" in output
    assert "7 indexed already" in said("index", "staff", "people", "--jobs", "1")
    with Store(default_path()) as store:
        assert len({face.external_image_id for face in store.faces("staff").faces}) == 6
    Path("李雷.png").write_bytes(Path("people/李雷/1.png").read_bytes())
    said("index", "one", "李雷.png")
    for words in (("list", "staff"), ("search", "one", "李雷.png")):
        output = said(*words)
        assert "李雷" in output
        assert "(:674e.96f7:)" in output
    done = run("create", "Müller")
    assert isinstance(done.exception, StoreError)
    assert "'M_ufc_ller' would do" in str(done.exception)


def test_folders_of_one_name_are_told(tmp_path: Path) -> None:
    for number, person in enumerate(("anna", "ben")):
        (tmp_path / "people" / person / "2026").mkdir(parents=True)
        astronaut = photographs().astronaut
        astronaut[0, 0] = number
        cv2.imwrite(str(tmp_path / "people" / person / "2026" / "1.png"), astronaut)
    output = said("index", "staff", "people", "--jobs", "1")
    assert "one name 2026 for images of 2 folders: people/anna/2026, people/ben/2026" in output


def test_a_line_is_whole_however_long_its_path_is(tmp_path: Path) -> None:
    folder = Path("people") / ("a" * 200) / ("b" * 100)
    (tmp_path / folder).mkdir(parents=True)
    cv2.imwrite(str(tmp_path / folder / "1.png"), photographs().astronaut)
    (tmp_path / folder / "2.png").touch()
    lines = said("index", "staff", "people", "--jobs", "1").splitlines()
    assert f"not indexed {folder / '2.png'}: the file is empty" in lines
    assert f"  {'b' * 100}  1" in lines


def test_names_that_are_not_utf8_are_indexed_and_reported(tmp_path: Path) -> None:
    folder = tmp_path / "people" / os.fsdecode(b"caf\xe9")
    folder.mkdir(parents=True)
    (folder / "1.png").write_bytes(cv2.imencode(".png", photographs().astronaut)[1].tobytes())
    (folder / "2.png").touch()
    words = ("index", "staff", "people", "--jobs", "1", "--report", "report.jsonl")
    printed = subprocess.check_output(
        [*ONLOOKER, "collection", *words], cwd=tmp_path, env=environment(tmp_path / "data")
    )
    assert b"not indexed people/caf\xe9/2.png: the file is empty\n" in printed
    assert json.loads((tmp_path / "report.jsonl").read_text()) == {
        "Path": r"people/caf\xe9/2.png",
        "Reason": "the file is empty",
    }
    with Store(tmp_path / "data" / "faces.db") as store:
        [face] = store.faces("staff").faces
    assert face.external_image_id == "caf:dce9:"


def test_nothing_indexed_is_status_1(tmp_path: Path) -> None:
    (tmp_path / "2.jpg").write_text("no picture")
    done = run("index", "staff", "2.jpg")
    assert done.exit_code == 1
    assert "1 image for staff: 1 not indexed" in done.output


def test_backup_and_restore() -> None:
    fill("staff")
    assert "copy.db: 0.1 MB" in said("backup", "copy.db")
    said("delete", "staff")
    output = said("restore", "copy.db")
    assert "is restored from copy.db" in output
    assert "the old collections are in" in output
    assert "3" in said("list")
    assert "sound, 3 faces" in said("verify")
    assert isinstance(run("backup", "copy.db").exception, Occupied)


def test_no_store_is_made_for_what_only_reads_one() -> None:
    assert run("list").exit_code == 0
    for words in ("list x", "delete x", "search x y", "verify", "backup b", "method x auto"):
        done = run(*words.split())
        assert done.exit_code == 1
        assert "there is no collection yet" in str(done.exception)
    assert not default_path().exists()


def test_a_report_takes_the_place_of_a_report_alone(tmp_path: Path) -> None:
    report = tmp_path / "report"
    line = b'{"Path":"a.jpg","Reason":"no face found"}\n'
    for held in (b"", line, 2 * line, line + b'{"Path":"b.j', line + b'{"Pa'):
        report.write_bytes(held)
        with _opened_report(report) as opened:
            assert opened is not None
        assert report.read_bytes() == b""
    for held in (b"notes", line + b"notes\n", line + b"notes", b'{"Path": "mine"}\n', b"[]\n"):
        report.write_bytes(held)
        with pytest.raises(Occupied, match="is not a report of images; name another file"):
            _opened_report(report)
        assert report.read_bytes() == held


def test_export_and_import() -> None:
    fill("staff")
    assert "3 faces in staff.jsonl and staff.npy" in said("export", "staff", "staff.jsonl")
    assert "3 faces imported" in said("import", "staff.jsonl", "--as", "twin")
    assert isinstance(run("import", "staff.jsonl").exception, StoreError)


def test_what_is_wrong_is_status_1() -> None:
    fill("staff")
    with Store(default_path()) as store:
        store.database.write(lambda each: each.execute("UPDATE collections SET faces = 7"))
    done = run("verify")
    assert done.exit_code == 1
    assert "wrong staff: it has 3 faces and 0 users, but its counters say 7 and 0" in done.output


def test_the_way_of_searching() -> None:
    fill("staff")
    assert "staff is searched by annoy" in said("method", "staff", "annoy")
    with Store(default_path()) as store:
        assert store.collection("staff").method == "annoy"
    assert run("method", "staff", "magic").exit_code == 2


def test_faces_that_cannot_be_deleted_are_named() -> None:
    first, *_ = fill("staff")
    done = run("delete", "staff", "--face", first, "--face", "nobody")
    assert done.exit_code == 1
    assert "deleted 1 of 2 faces" in done.output
    assert "not nobody: FACE_NOT_FOUND" in done.output
