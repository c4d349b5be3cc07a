"""`onlooker stream`: the streams of the configuration, and of the command line."""

import re
from typing import Annotated

import typer
from msgspec.structs import replace

from onlooker import program_log
from onlooker.cli.run import check, run_program
from onlooker.config import schema
from onlooker.config.load import find, load
from onlooker.config.schema import Config, SourceConfig
from onlooker.config.section import ConfigError


def stream(
    sources: Annotated[
        list[str] | None,
        typer.Argument(help="More streams, as NAME=URL.", metavar="[NAME=URL]..."),
    ] = None,
) -> None:
    """Run the streams of the configuration: analyse their frames, log and publish the records.

    Continues until it is stopped; follows changes of the file's [streams]. Example: `onlooker
    stream door=rtsp://user:password@10.0.0.7/1`
    """
    program_log.begin()
    more = _named(sources or [])
    path = find()

    def reload() -> Config:
        config = load(path)
        config = replace(config, streams={**config.streams, **more})
        if not config.streams:
            raise ConfigError(
                'there is no stream: write [streams.door] with url = "rtsp://..." into '
                "onlooker.toml, or name one as door=rtsp://..."
            )
        check(config)
        return config

    run_program(reload, path, api=None)


def _named(sources: list[str]) -> dict[str, SourceConfig]:
    found: dict[str, SourceConfig] = {}
    for place, each in enumerate(sources, 1):
        name, _, url = each.partition("=")
        if not url or not re.fullmatch(schema.STREAM_NAME, name):
            # Not shown: it may be a URL with a password.
            raise typer.BadParameter(
                f"argument {place} is not NAME=URL; a name has letters, digits, '.', '_' and '-'"
            )
        if name in found:
            raise typer.BadParameter(f"two streams are named {name!r}; give each a name of its own")
        try:
            found[name] = SourceConfig(url=url)
        except ConfigError as error:
            raise ConfigError(f"{name}: {error}") from None
    return found
