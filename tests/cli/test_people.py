"""`onlooker people`, as a user has it."""

import json
from pathlib import Path

import pytest
from tests.identity.people.test_people import SPACE, visitor
from tests.support import postgres
from tests.support.appearances import event, record
from typer.testing import CliRunner

from onlooker.cli.commands import app
from onlooker.identity.people.people import open_people
from onlooker.record.log.writer import Writer


@pytest.fixture(autouse=True, params=["sqlite", "postgresql"])
def known(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> str | None:
    """Return the URL of the store of a user, who has two people, with two appearances and one."""
    url = None if request.param == "sqlite" else postgres.database()
    monkeypatch.setenv("ONLOOKER_DATA", str(tmp_path))
    monkeypatch.setenv("ONLOOKER_CONFIG", str(tmp_path / "onlooker.toml"))
    settings = f'[store]\nurl = "{url}"\n' if url else ""
    (tmp_path / "onlooker.toml").write_text(settings)
    with open_people(SPACE, tmp_path / "faces.db", url) as people:
        for person, photo in ((1, 0), (1, 1), (2, 0)):
            people.join(visitor(person, photo))
    return url


def run(*words: str) -> list[str]:
    done = CliRunner().invoke(app, ["people", *words])
    assert done.exit_code == 0, done.output
    return done.stdout.splitlines()


def row(name: str, *words: str) -> str:
    [found] = [line for line in run(*(words or ("list",))) if name in line]
    return found


def test_name_merge_and_undo() -> None:
    assert "2" in row("unknown-000001")
    run("name", "unknown-000001", "Ada Müller")
    assert "Ada Müller" in row("Ada")
    run("merge", "unknown-000002", "Ada Müller")
    assert "3" in row("Ada")
    number = row("merge", "changes").split()[1]
    run("undo", number)
    assert "1" in row("unknown-000002")
    assert "undone" in row("merge", "changes")


def test_show_split_and_not() -> None:
    lines = [json.loads(line) for line in run("show", "unknown-000001")]
    assert [line["appearance"] for line in lines] == ["a-1-0", "a-1-1"]
    assert "vector" not in lines[0]
    assert "unknown-000003" in run("split", "unknown-000001", "a-1-1")[0]
    assert run("suggest") == []  # they were told apart
    run("not", "unknown-000001", "a-1-0")
    assert not [line for line in run("list") if "unknown-000001" in line]


def test_hide_and_forget() -> None:
    run("hide", "unknown-000001")
    assert not [line for line in run("list") if "unknown-000001" in line]
    assert "hidden" in row("unknown-000001", "list", "--hidden")
    number = row("hide", "changes").strip("│ ").split()[0]
    assert run("undo", number) == ["undone: hide"]
    assert "hidden" not in row("unknown-000001", "list", "--hidden")
    [receipt] = run("forget", "unknown-000001")
    assert json.loads(receipt)["appearances"] == 2
    done = CliRunner().invoke(app, ["people", "forget", "unknown-000001"])
    assert done.exit_code != 0


def test_appearances_are_found_by_the_name_that_somebody_got_later(
    tmp_path: Path, known: str | None
) -> None:
    log = tmp_path / "r.db"
    there = event(0, "end", 10, 20)
    with Writer(log) as writer:
        writer.append([record(0, there, event(1, "end", 10, 20))])
    with open_people(SPACE, tmp_path / "faces.db", known) as people:
        assert people.join(visitor(7, 0, appearance=there.id)) == "unknown-000003"
    run("name", "unknown-000003", "Ada Müller")
    for name, number in (("Ada Müller", 1), ("unknown-000003", 1), ("unknown-000004", 0)):
        words = ["log", "appearances", "--log", str(log), "--json", "--person", name]
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 0, done.exception
        found = done.stdout.splitlines()
        assert [json.loads(line)["AppearanceId"] for line in found] == [there.id] * number


def test_an_empty_list_says_where_strangers_come_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "onlooker.toml").write_text("")
    monkeypatch.setenv("ONLOOKER_DATA", str(tmp_path / "new"))
    done = CliRunner().invoke(app, ["people", "list"])
    assert (
        done.stderr == "people whom no collection knows are kept with `[people] enabled = true`\n"
    )
    (tmp_path / "onlooker.toml").write_text("[people]\nenabled = true\n")
    assert CliRunner().invoke(app, ["people", "list"]).stderr == ""
