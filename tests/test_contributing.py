"""The worked examples of CONTRIBUTING.md run, one after the other; forms and hooks are whole."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))


def test_the_worked_examples_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    examples = re.findall(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    assert len(examples) == len(re.findall(r"^\*\*An? \w+\*\* ", TEXT, re.MULTILINE)) == 5
    monkeypatch.chdir(tmp_path)
    for example in examples:
        assert "\nassert " in example
        exec(compile(example, "CONTRIBUTING.md", "exec"), {"__name__": "example"})


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.stem)
def test_an_issue_form_has_what_github_wants(form: Path) -> None:
    found = yaml.safe_load(form.read_text(encoding="utf-8"))
    if form.name == "config.yml":
        assert found == {"blank_issues_enabled": True}
        return
    assert found["name"]
    assert found["description"]
    fields = [item for item in found["body"] if item["type"] != "markdown"]
    assert len({item["id"] for item in fields}) == len(fields) >= 3
    for item in fields:
        assert item["type"] in {"input", "textarea", "dropdown"}
        assert item["attributes"]["label"]
        assert item["type"] != "dropdown" or item["attributes"]["options"]


def test_the_hooks_are_commands_of_make_check() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    entries = [hook["entry"] for repo in hooks["repos"] for hook in repo["hooks"]]
    checks = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert len(entries) == 4
    for entry in entries:
        words = entry.removeprefix(".venv/bin/").removesuffix(" --fix")
        assert f"$(BIN)/{words}" in checks
