"""`onlooker config`: the configuration in force, and whether it can be used."""

from pathlib import Path
from typing import Annotated

import typer
from msgspec.structs import replace
from rich.text import Text

from onlooker.cli import run
from onlooker.cli.terminal import complaints, console, plain
from onlooker.config.load import dump, find, has_section, load
from onlooker.media.check_source import check_sources
from onlooker.media.url import redacted
from onlooker.models import session
from onlooker.models.card import card as find_card
from onlooker.vision import analyser

app = typer.Typer(no_args_is_help=True, help="The configuration in force, and its file.")


@app.command("show")
def show() -> None:
    """Print the configuration in force in the form of its file; URLs without passwords.

    Example: `onlooker config show > all.toml`
    """
    path = find()
    settings = load()
    print(f"# from {path}" if path else "# defaults; no configuration file was found")
    streams = {
        name: replace(source, url=redacted(source.url)) for name, source in settings.streams.items()
    }
    sinks = {
        name: replace(sink, url=sink.url and redacted(sink.url))
        for name, sink in settings.sinks.items()
    }
    store = replace(settings.store, url=settings.store.url and redacted(settings.store.url))
    shown = replace(settings, streams=streams, sinks=sinks, store=store)
    if shown != settings:
        print("# of URLs only the host is shown: users put passwords into all the rest")
    print(dump(shown), end="")


@app.command("check")
def check(
    path: Annotated[Path | None, typer.Argument(help="File to check.")] = None,
    no_sources: Annotated[
        bool, typer.Option("--no-sources", help="Do not try to open the streams.")
    ] = False,
) -> None:
    """Check that a configuration can be used and that each of its streams can be opened.

    Example: `onlooker config check onlooker.toml`
    """
    settings = load(path)
    for name in analyser.cards(settings):
        session.choose(find_card(name), settings.runtime.provider)
    run.check(settings)
    file = path or find()
    if file is not None and has_section("serve", file):
        run.check_ports(settings)
    if settings.streams and not no_sources:
        with console.status("trying the streams"):
            found = check_sources(settings.streams)
        for name, cause in found.items():
            if cause is not None:
                complaints.print(Text.assemble(("error:", "red"), f" [streams.{name}] {cause}"))
        if any(found.values()):
            raise typer.Exit(1)
    advice = "; `onlooker run` starts it" if settings.streams else ""
    plain.print(f"{file or 'the defaults'}: fine{advice}")
