"""The README, the pages and the help: what they name exists, and what they show works."""

import ast
import re
import shlex
import tomllib
from pathlib import Path
from typing import get_type_hints

import msgspec
import pytest
import typer.main
from typer.testing import CliRunner

import onlooker
from onlooker.cli.commands import app
from onlooker.config.schema import Config
from onlooker.models.card import cards

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
LICENCES = (ROOT / "docs" / "licences.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "docs" / "decisions").glob("000[2-9]-*.md")),  # the first has old names
    ROOT / "models" / "README.md",
]

TOML, PYTHON = (rf"^```{language}\n(.*?)^```" for language in ("toml", "python"))

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())


def everywhere(pattern: str) -> list[tuple[str, str]]:
    """Return what matches `pattern`, each with the name of its page."""
    return [
        (page.name, found)
        for page in PAGES
        for found in re.findall(pattern, page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    ]


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 150


def test_every_command_of_the_pages_exists() -> None:
    found = everywhere(r"^\$ (onlooker [^\n]*)$")
    assert len(found) >= 60
    for _, line in found:
        words = shlex.split(re.sub(r" [|>] .*", "", line), comments=True)[1:]
        group = typer.main.get_command(app)
        while hasattr(group, "commands"):
            group = group.commands[words.pop(0)]
        options = {name for parameter in group.params for name in parameter.opts}
        for word in words:
            if word.startswith("--"):
                assert word in options, word


def test_every_command_has_help_with_an_example() -> None:
    examples: list[list[str]] = []

    def walk(words: list[str], command: object) -> None:
        if hasattr(command, "commands"):
            for name, inner in command.commands.items():
                walk([*words, name], inner)
            return
        shown = CliRunner().invoke(app, [*words, "--help"])
        assert shown.exit_code == 0
        assert "Example" in shown.output, words
        examples.append(words)

    walk([], typer.main.get_command(app))
    assert len(examples) >= 25


def test_the_toml_of_the_pages_is_a_configuration() -> None:
    found = [(page, text) for page, text in everywhere(TOML) if "[[key]]" not in text]
    assert len(found) >= 12
    for page, text in found:
        try:
            msgspec.convert(tomllib.loads(text), Config)
        except (ValueError, msgspec.ValidationError) as error:
            pytest.fail(f"{page}: {error}\n{text}")


def test_the_python_of_the_pages_uses_public_names() -> None:
    used = [
        node.attr
        for _, text in everywhere(PYTHON)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "onlooker"
    ]
    assert set(used) == set(onlooker.__all__)


def test_every_model_has_its_licence_on_the_page() -> None:
    table = LICENCES.split("## Licences of the weights")[1].split("\n## ")[0]
    assert len(cards()) >= 10
    for card in cards().values():
        assert card.licence.split()[0] in table, card.name


def test_every_dependency_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    table = LICENCES.split("## Libraries")[1].split("\n## ")[0].casefold()
    assert len(project["dependencies"]) >= 10
    for requirement in project["dependencies"]:
        name = re.split(r"[^a-z0-9-]", requirement.casefold())[0]
        if name == "numpy":
            continue
        assert {"av": "pyav"}.get(name, name) in table, name


def test_places_named_in_contributing_exist() -> None:
    places = re.findall(r"`((?:pipeline|ext|models|tests|bench)/[\w/.]*)`", CONTRIBUTING)
    named = [place for place in places if "NAME" not in place]
    assert len(named) >= 15
    for place in named:
        assert (ROOT / place.rstrip("/")).exists(), place


def test_every_package_has_its_row_in_contributing() -> None:
    table = CONTRIBUTING.split("## The house")[1].split("\n## ")[0]
    packages = [path.parent for path in (ROOT / "pipeline" / "onlooker").glob("*/__init__.py")]
    assert len(packages) >= 10
    for package in packages:
        assert f"`{package.relative_to(ROOT).as_posix()}/" in table, package.name


@pages
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        if not target.startswith("https://"):
            assert (page.parent / target).exists(), target


@pages
def test_modules_and_files_that_a_page_names_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    package = ROOT / "pipeline" / "onlooker"
    for place in re.findall(r"`([\w/]+/\w+\.(?:py|pyi|pyx|toml|txt|md))`", text):
        if "NAME" in place:
            continue
        homes = (ROOT / place, package / place, page.parent / place)
        assert any(home.exists() for home in homes), place


def test_settings_that_the_pages_name_exist() -> None:
    sections = {name: hint for name, hint in get_type_hints(Config).items() if name != "streams"}
    named = [
        (section, key)
        for page in PAGES
        for section, key in re.findall(
            r"`(?:\[(?=\w+\] \w))?(\w+)(?:\.|\] )(\w+)(?: = [^`]*)?`", page.read_text("utf-8")
        )
        if section in sections and f"{section}.{key}" != "faces.db"
    ]
    assert len(named) >= 15
    for section, key in named:
        assert key in get_type_hints(sections[section]), f"{section}.{key}"


def test_the_places_of_the_first_decision_exist() -> None:
    text = (ROOT / "docs" / "decisions" / "0001-the-tree.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(.+?)` \| `(.+?)` \|$", text, re.MULTILINE)
    assert len(rows) > 100
    for _, place in rows:
        homes = (ROOT / place, ROOT / "pipeline" / "onlooker" / place)
        assert any(home.exists() for home in homes), place
