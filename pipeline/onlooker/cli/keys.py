"""`onlooker keys`: CURVE keys for records that leave the machine."""

from pathlib import Path
from typing import Annotated

import typer

from onlooker.cli.terminal import complaints
from onlooker.record import curve_keys

app = typer.Typer(no_args_is_help=True, help="CURVE keys for records that leave the machine.")


@app.command("generate")
def generate(path: Annotated[Path, typer.Argument(help="New file for the key pair.")]) -> None:
    """Generate a key pair, and print its public key for the other side's configuration.

    Example: `onlooker keys generate camera-room.key`
    """
    print(curve_keys.generate(path).public)
    complaints.print(
        f"{path} has the secret and stays here; the other side gets the public key, as one of its "
        "`clients` or, in single quotes, as --server"
    )


@app.command("show")
def show(path: Annotated[Path, typer.Argument(help="File with a key pair.")]) -> None:
    """Print the public key of a key pair.

    Example: `onlooker keys show camera-room.key`
    """
    print(curve_keys.read(path).public)
