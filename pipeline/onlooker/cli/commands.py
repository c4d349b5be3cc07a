"""The table of commands. The module of a command is loaded when the command is asked for."""

from collections.abc import Iterator, MutableMapping
from importlib import import_module
from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

SUMMARY = "Recognise faces and read text in images and video, with Amazon Rekognition's answers."

COMMANDS = {
    "demo": "demo",
    "replay": "replay",
    "run": "run",
    "stream": "stream",
    "status": "status",
    "serve": "serve",
    "worker": "worker",
    "watch": "watch",
    "faces": "image",
    "text": "image",
    "doctor": "doctor",
    "migrate": "migrate",
}
"""Name of each command, a function, and the module of `onlooker.cli` that has it."""

GROUPS = ("collection", "log", "people", "jobs", "models", "keys", "config")
"""Commands that have commands of their own: the `app` of the module of this name."""

APPEARANCE: dict[str, Any] = {"pretty_exceptions_enable": False, "rich_markup_mode": "markdown"}


class Commands(MutableMapping[str, Any]):
    """The commands by their names, each made when it is first asked for."""

    def __init__(self) -> None:
        self._made: dict[str, Any] = dict.fromkeys((*COMMANDS, *GROUPS))

    def __getitem__(self, name: str) -> Any:
        if self._made[name] is None:
            self._made[name] = _made(name)
        return self._made[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._made[name] = command

    def __delitem__(self, name: str) -> None:
        del self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._made)

    def __len__(self) -> int:
        return len(self._made)


def _made(name: str) -> Any:
    """Load a command's module, and return the command."""
    module = import_module(f"onlooker.cli.{COMMANDS.get(name, name)}")
    alone = typer.Typer(**APPEARANCE)
    if name in GROUPS:
        alone.add_typer(module.app, name=name)
    else:
        alone.command()(getattr(module, name))
    return typer.main.get_group(alone).commands[name]


class Program(TyperGroup):
    """The program, with its commands."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{**settings, "commands": None})
        self.commands = Commands()


app = typer.Typer(cls=Program, no_args_is_help=True, help=SUMMARY, **APPEARANCE)


def _print_version(wanted: bool) -> None:
    if wanted:
        from onlooker.cli.terminal import plain

        plain.print(f"onlooker {version('onlooker')}")
        raise typer.Exit()


@app.callback(help=SUMMARY)
def options(
    _: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Accept the options that stand before a command."""
