"""The README and the help keep their word."""

import re
import shlex
import tomllib
from pathlib import Path

import msgspec
import typer.main
from typer.testing import CliRunner

from onlooker.cli.main import app
from onlooker.config.schema import Config
from onlooker.models import weights

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def commands() -> list[list[str]]:
    """Every `onlooker ...` line of the README's transcripts."""
    lines = re.findall(r"^\$ (onlooker .*)$", README, re.MULTILINE)
    return [shlex.split(line, comments=True)[1:] for line in lines]


def test_every_command_of_the_readme_is_one() -> None:
    assert len(commands()) >= 6
    for words in commands():
        group = typer.main.get_command(app)
        while hasattr(group, "commands"):
            group = group.commands[words.pop(0)]
        options = {name for parameter in group.params for name in parameter.opts}
        for word in words:
            if word.startswith("--"):
                assert word in options, word


def test_every_command_has_help_with_an_example() -> None:
    def walk(words: list[str], command: object) -> None:
        if hasattr(command, "commands"):
            for name, inner in command.commands.items():
                walk([*words, name], inner)
            return
        shown = CliRunner().invoke(app, [*words, "--help"])
        assert shown.exit_code == 0
        assert "Example" in shown.output, words

    walk([], typer.main.get_command(app))


def test_the_toml_of_the_readme_is_a_configuration() -> None:
    examples = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    assert len(examples) >= 2
    for example in examples:
        msgspec.convert(tomllib.loads(example), Config)


def test_every_model_has_its_licence_in_the_readme() -> None:
    table = README.split("## Licences of the weights")[1].split("\n## ")[0]
    for card in weights.cards().values():
        assert card.licence.split()[0] in table, card.name


def test_every_dependency_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    table = README.split("## Libraries")[1].split("\n## ")[0].casefold()
    for requirement in project["dependencies"]:
        name = re.split(r"[^a-z0-9-]", requirement.casefold())[0]
        if name == "numpy":
            continue
        assert {"av": "pyav"}.get(name, name) in table, name


def test_places_named_in_the_readme_exist() -> None:
    for place in re.findall(r"`((?:pipeline|ext|models|tests|bench)/[\w/.]+)`", README):
        if "NAME" not in place:
            assert (ROOT / place.rstrip("/")).exists(), place
