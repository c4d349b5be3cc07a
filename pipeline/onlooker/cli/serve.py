"""`onlooker serve`: Rekognition's operations over HTTP."""

from pathlib import Path
from typing import Annotated

import typer
from msgspec.structs import replace

from onlooker import program_log
from onlooker.cli.run import run_program
from onlooker.config.load import find, has_section, load
from onlooker.config.serving import Metrics


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="0 takes a free one.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes.")] = None,
    config: Annotated[Path | None, typer.Option(help="Configuration file.")] = None,
) -> None:
    """Answer boto3, the AWS CLI and every other AWS SDK as Amazon Rekognition does.

    Point a client here with its endpoint setting, or with AWS_ENDPOINT_URL_REKOGNITION.
    The section [serve] of the configuration says more. Example: `onlooker serve --port 8600`
    """
    path = config or find()
    settings = load(path)
    given = {"host": host, "port": port, "workers": workers}
    changed = {name: value for name, value in given.items() if value is not None}
    settings = replace(
        settings,
        serve=replace(settings.serve, **changed),
        streams={},
        metrics=Metrics(),  # that port is for `onlooker stream`, which may run beside this
    )
    program_log.begin(form="json", level="INFO")
    jobs = path is not None and has_section("jobs", path)
    run_program(lambda: settings, None, api=settings, jobs=jobs)
