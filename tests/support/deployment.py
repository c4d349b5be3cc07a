"""Files of `deploy/`, read as the programs that they are for read them."""

import re
import shlex
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, get_args

import typer.main
import yaml
from docs import reference

from onlooker.api.errors import STATUS
from onlooker.cli.commands import app
from onlooker.jobs.job import JobState
from onlooker.stream.messages import Drop, Failure

ROOT = Path(__file__).resolve().parent.parent.parent
DEPLOY = ROOT / "deploy"

VALUES = {
    "cause": {*get_args(Drop), *get_args(Failure)},
    "quantile": {"0.5", "0.99"},
    "result": {"200", *STATUS},
    "state": set(get_args(JobState)),
}
"""Values of labels that do not come from the user."""


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


def metrics_of(expression: str) -> dict[str, str]:
    """Return the selectors of Onlooker's metrics in an expression of PromQL, by name."""
    return dict(re.findall(r"\b(onlooker_\w+)(\{[^}]*\})?", expression))


@cache
def exported() -> dict[str, tuple[str, str]]:
    """Return kind and labels of each metric that Onlooker exports."""
    return {name: (kind, labels) for name, kind, labels, _ in reference.metrics()}


def check_expression(expression: str) -> None:
    """Check that its metrics and their labels exist, and values of labels that are known."""
    names = metrics_of(expression)
    assert names, expression
    known = exported()
    labels_of_all: set[str] = {"instance", "job"}
    for name, selector in names.items():
        kind, labels = known.get(name) or known[re.sub(r"_(bucket|sum|count)$", "", name)]
        assert (name in known) != (kind == "histogram"), f"{name}: a histogram has three series"
        has = {*labels.split(", "), *(["le"] if name.endswith("_bucket") else [])}
        labels_of_all |= has
        for label, values in re.findall(r'(\w+)=~?"([^"]*)"', selector):
            assert label in has, f"{name} has no label {label}"
            for value in values.split("|"):
                assert value.startswith("$") or value in VALUES[label], f"{label}={value}"
    for listed in re.findall(r"\bby \(([^)]*)\)", expression):
        assert set(listed.split(", ")) <= labels_of_all, listed
