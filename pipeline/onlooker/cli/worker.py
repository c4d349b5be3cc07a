"""`onlooker worker`: analyse frames for the streams and replays of another machine."""

from pathlib import Path
from typing import Annotated

import typer

from onlooker import program_log
from onlooker.cli.pull_models import pull_models
from onlooker.config.schema import Config
from onlooker.record import curve_keys
from onlooker.record.sinks import endpoints
from onlooker.record.sinks.publish_messages import PublishError
from onlooker.stream.remote_worker import work
from onlooker.vision import analyser


def worker(
    endpoint: Annotated[
        str, typer.Argument(help="The other machine's `[workers] listen`, as tcp://hub:5570.")
    ],
    key: Annotated[Path, typer.Option(help="File with this machine's key pair.")],
    server: Annotated[str, typer.Option(help="The other machine's public key.", metavar="PUBLIC")],
    workers: Annotated[
        int, typer.Option(min=0, help="Processes for each of detect and recognise. [one per core]")
    ] = 0,
    name: Annotated[
        str | None, typer.Option(help="Name of this machine there. [its host name]")
    ] = None,
) -> None:
    """Analyse frames for the streams and replays of another machine, until it is stopped.

    Waits for them, and may come and go at any time: records stay the same. That machine's
    configuration names its address and the keys of its workers in [workers].
    Example: `onlooker worker tcp://192.168.1.5:5570 --key worker.key --server 'PUBLIC'`
    """
    program_log.begin()
    try:
        endpoints.check(endpoint)
    except PublishError as error:
        raise typer.BadParameter(str(error)) from error
    if not endpoint.startswith("tcp://"):
        raise typer.BadParameter(f"{endpoint}: workers of other machines join over tcp://")
    curve_keys.check(server)

    def prepare(config: Config) -> None:
        pull_models(analyser.cards(config, analyser.ALL))

    work(endpoint, curve_keys.read(key), server, prepare, workers, machine=name)
