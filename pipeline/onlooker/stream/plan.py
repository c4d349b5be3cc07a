"""What one run is made of: a file in its directory that all its processes read.

The directory also holds the hub's socket and the rings. It goes when the run ends.
"""

import importlib
from collections.abc import Callable
from pathlib import Path

import msgspec

from onlooker.config import Config
from onlooker.stream.stages import Feed, Outputs, Stage, Setup, Step


class StageRow(msgspec.Struct, frozen=True, kw_only=True):
    """A stage, as far as it can be written down."""

    name: str
    make: str
    """module:function"""
    ordered: bool


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The whole of it."""

    parent: int
    """Process id of the supervisor, without which no other process goes on."""
    hub: str
    """Where the hub listens."""
    config: Config
    outputs: Outputs
    stages: tuple[StageRow, ...]
    feeds: tuple[Feed, ...]


def row(stage: Stage) -> StageRow:
    """`stage` with its maker's name in place of the function."""
    make = f"{stage.make.__module__}:{stage.make.__qualname__}"
    return StageRow(name=stage.name, make=make, ordered=stage.ordered)


def maker(stage: StageRow) -> Callable[[Setup], Step]:
    """The function that `row` was given."""
    module, _, name = stage.make.partition(":")
    found: Callable[[Setup], Step] = getattr(importlib.import_module(module), name)
    return found


def write(run: Path, plan: Plan) -> None:
    (run / "plan.json").write_bytes(msgspec.json.encode(plan, enc_hook=str))


def read(run: Path) -> Plan:
    data = (run / "plan.json").read_bytes()
    return msgspec.json.decode(data, type=Plan, dec_hook=lambda kind, text: kind(text))
