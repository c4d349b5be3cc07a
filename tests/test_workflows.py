"""The workflows of GitHub name what is there; `make check` holds them against GitHub's schema."""

import os
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
each = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)


def jobs(file: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load(file.read_text("utf-8"))["jobs"]
    return found


def test_there_is_one_for_each_purpose() -> None:
    names = {file.stem for file in FILES}
    assert names == {"check", "test", "wheels", "nightly", "docs", "release"}


@each
def test_actions_are_pinned_by_major_version(file: Path) -> None:
    for job in jobs(file).values():
        for step in job.get("steps", ()):
            if action := step.get("uses"):
                assert re.fullmatch(r"[\w-]+/[\w-]+@(release/)?v\d+", action), action


@each
def test_jobs_end_and_have_no_rights_but_those_they_need(file: Path) -> None:
    assert yaml.safe_load(file.read_text("utf-8"))["permissions"] == {"contents": "read"}
    for name, job in jobs(file).items():
        assert "timeout-minutes" in job or "uses" in job, name
        assert name in {"publish", "announce"} or "permissions" not in job


@each
def test_what_they_run_is_there(file: Path) -> None:
    text = file.read_text("utf-8")
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for targets in re.findall(r"make PYTHON=python ([\w ]+)$", text, re.MULTILINE):
        for target in targets.split():
            assert re.search(rf"^{target}:.*##", makefile, re.MULTILINE), target
    proofs = jobs(file).get("proofs", {}).get("strategy", {}).get("matrix", {}).get("proof", ())
    for proof in proofs:
        assert (ROOT / "tests" / "proofs" / f"{proof.split()[0]}.py").is_file(), proof
    assert ("proofs" in text) == bool(proofs)


@each
def test_expressions_name_what_their_job_has(file: Path) -> None:
    found = jobs(file)
    for job in found.values():
        needs = job.get("needs", [])
        assert {needs} <= set(found) if isinstance(needs, str) else set(needs) <= set(found)
        steps = {step["id"] for step in job.get("steps", ()) if "id" in step}
        matrix = job.get("strategy", {}).get("matrix", {})
        keys = {*matrix, *(key for entry in matrix.get("include", ()) for key in entry)}
        text = yaml.safe_dump(job)
        assert set(re.findall(r"\bmatrix\.([\w-]+)", text)) == keys - {"include"}
        assert set(re.findall(r"\bsteps\.([\w-]+)", text)) <= steps


def script(workflow: str, job: str) -> str:
    """Return the only script of a job."""
    steps = jobs(ROOT / ".github" / "workflows" / f"{workflow}.yml")[job]["steps"]
    [found] = [step["run"] for step in steps if "run" in step]
    return str(found)


def bash(text: str, folder: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Run a step as GitHub does."""
    return subprocess.run(
        ["bash", "-e", "-c", text],
        cwd=folder,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("tag", "version", "heading", "passes"),
    [
        ("v1.2.3", "1.2.3", "## 1.2.3 - 2027-01-01", True),
        ("v1.2.4", "1.2.3", "## 1.2.3 - 2027-01-01", False),
        ("v1.2.3", "1.2.3", "## Unreleased", False),
    ],
)
def test_a_release_is_of_one_version(
    tag: str, version: str, heading: str, passes: bool, tmp_path: Path
) -> None:
    (tmp_path / "pyproject.toml").write_text(f'[project]\nversion = "{version}"\n')
    (tmp_path / "CHANGELOG.md").write_text(f"# Changelog\n\n{heading}\n")
    (tmp_path / "tests" / "written_by" / version).mkdir(parents=True)
    done = bash(script("release", "version"), tmp_path, GITHUB_REF_NAME=tag)
    assert (done.returncode == 0) == passes, done.stderr


def test_the_notes_of_a_release_are_its_part_of_the_changelog(tmp_path: Path) -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    (tmp_path / "CHANGELOG.md").write_text(changelog, "utf-8")
    asked = tmp_path / "asked"
    gh = tmp_path / "gh"
    gh.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {asked}\n')
    gh.chmod(0o755)
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / "onlooker.whl").touch()
    version = re.findall(r"^## (\d+\.\d+\.\d+) - ", changelog, re.MULTILINE)[0]
    path = f"{tmp_path}:{os.environ['PATH']}"
    done = bash(script("release", "announce"), tmp_path, GITHUB_REF_NAME=f"v{version}", PATH=path)
    assert done.returncode == 0, done.stderr
    notes = (tmp_path / "notes.md").read_text("utf-8")
    part = changelog.partition(f"## {version} - ")[2].partition("\n")[2]
    assert notes.strip()
    assert part.startswith(notes)
    assert "\n## " not in notes
    words = asked.read_text().splitlines()
    assert words[:3] == ["release", "create", f"v{version}"]
    assert words[-1] == "dist/onlooker.whl"


def test_the_tests_run_on_the_pythons_of_the_wheels() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    built = {f"3.{name[3:-2]}" for name in project["tool"]["cibuildwheel"]["build"]}
    matrix = jobs(ROOT / ".github" / "workflows" / "test.yml")["test"]["strategy"]["matrix"]
    assert set(matrix["python"]) == built
    assert {found["runner"] for found in matrix["include"]} == {"ubuntu-24.04-arm"}
    for version in built:
        assert f"Programming Language :: Python :: {version}" in project["project"]["classifiers"]
