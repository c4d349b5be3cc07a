"""Files of `deploy/`, read as the programs that they are for read them."""

import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer.main
import yaml

from onlooker.cli.commands import app

ROOT = Path(__file__).resolve().parent.parent.parent
DEPLOY = ROOT / "deploy"


def read_yaml(path: Path) -> Any:
    """Return what a YAML file has."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def instructions(path: Path) -> list[tuple[str, str]]:
    """Return the instructions of a Containerfile with their arguments, each in one line."""
    text = re.sub(r"^#.*\n", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines if line)]


def check_command(words: Sequence[str]) -> None:
    """Parse a command line of `onlooker`, without running it. Raises Typer's UsageError."""
    assert Path(words[0]).name == "onlooker"
    command: Any = typer.main.get_command(app)
    rest = list(words[1:])
    while hasattr(command, "commands"):
        assert rest, f"{shlex.join(words)} names no command"
        command = command.commands[rest.pop(0)]
    command.make_context(command.name, rest)
