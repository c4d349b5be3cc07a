"""The table of commands."""

from importlib.metadata import version
from typing import Annotated

import typer

from onlooker.cli import collection, config, jobs, keys, log, models, people
from onlooker.cli.demo import demo
from onlooker.cli.doctor import doctor
from onlooker.cli.image import faces, text
from onlooker.cli.migrate import migrate
from onlooker.cli.replay import replay
from onlooker.cli.run import run
from onlooker.cli.serve import serve
from onlooker.cli.status import status
from onlooker.cli.stream import stream
from onlooker.cli.terminal import plain
from onlooker.cli.watch import watch
from onlooker.cli.worker import worker

SUMMARY = "Recognise faces and read text in images and video, with Amazon Rekognition's answers."

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help=SUMMARY,
)
for command in (
    demo,
    replay,
    run,
    stream,
    status,
    serve,
    worker,
    watch,
    faces,
    text,
    doctor,
    migrate,
):
    app.command()(command)
app.add_typer(collection.app, name="collection")
app.add_typer(log.app, name="log")
app.add_typer(people.app, name="people")
app.add_typer(jobs.app, name="jobs")
app.add_typer(models.app, name="models")
app.add_typer(keys.app, name="keys")
app.add_typer(config.app, name="config")


def _print_version(wanted: bool) -> None:
    if wanted:
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
