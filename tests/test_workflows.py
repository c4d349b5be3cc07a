"""The workflows of GitHub name what is there; `make check` holds them against GitHub's schema."""

import re
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


def test_the_tests_run_on_the_pythons_of_the_wheels() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    built = {f"3.{name[3:-2]}" for name in project["tool"]["cibuildwheel"]["build"]}
    matrix = jobs(ROOT / ".github" / "workflows" / "test.yml")["test"]["strategy"]["matrix"]
    assert set(matrix["python"]) == built
    assert {found["runner"] for found in matrix["include"]} == {"ubuntu-24.04-arm"}
    for version in built:
        assert f"Programming Language :: Python :: {version}" in project["project"]["classifiers"]
