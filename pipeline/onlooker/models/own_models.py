"""The user's own models: their cards, in `card.own_folder()`, and their first build."""

import hashlib
import re
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from onlooker import durable_file
from onlooker.models import verify, weights
from onlooker.models.card import Archive, Card, Member, WeightsError, cards, own_folder


def check_name(name: str) -> None:
    """Check the name of an own model. Raises WeightsError."""
    if not re.fullmatch(r"[\w.-]*\w[\w.-]*", name):
        raise WeightsError(f"{name!r} cannot name a model; letters, digits, '-', '_' and '.' can")
    if name in cards() and not (own_folder() / f"{name}.toml").is_file():
        raise WeightsError(f"{name} is a model of Onlooker's own; choose another --name")


def check_file(file: Path) -> None:
    """Raise WeightsError if `file` is not a regular one: it may be endless, or gone next time."""
    try:
        mode = file.stat().st_mode
    except OSError as error:
        raise WeightsError(f"{file}: {error.strerror}") from error
    if not stat.S_ISREG(mode):
        raise WeightsError(f"{file}: not a regular file")


def folder_archive(folder: Path, paths: Sequence[str]) -> tuple[Archive, tuple[Member, ...]]:
    """Return a card's description of the files at `paths` in the user's folder."""
    contents = [(folder / each).read_bytes() for each in paths]
    digests = [hashlib.sha256(content).hexdigest() for content in contents]
    archive = Archive(
        client="folder",
        package=str(folder),
        version="(your own)",
        size=sum(map(len, contents)),
        sha256=hashlib.sha256("".join(digests).encode()).hexdigest(),
    )
    members = (
        Member(path=path, sha256=digest) for path, digest in zip(paths, digests, strict=True)
    )
    return archive, tuple(members)


def store(card: Card) -> Card:
    """Store the card, build its model, and return the card with the figures of its probe.

    If the model cannot be built, the card of that name is as before. Raises WeightsError.
    """
    place = own_folder() / f"{card.name}.toml"
    before = place.read_bytes() if place.is_file() else None
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        _write(place, card)
    except OSError as error:
        raise WeightsError(f"{place}: {error.strerror}; set ONLOOKER_DATA to another") from error
    cards.cache_clear()
    try:
        weights.pull([card.name], force=True)
        probe = msgspec.structs.replace(card.probe, expect=tuple(verify.measure(card.name)))
    except WeightsError:
        place.unlink()
        if before is not None:
            durable_file.write(place, before)
        cards.cache_clear()
        raise
    card = msgspec.structs.replace(card, probe=probe)
    _write(place, card)
    cards.cache_clear()
    return card


def remove(name: str) -> None:
    """Remove the card of an own model."""
    (own_folder() / f"{name}.toml").unlink()
    cards.cache_clear()


def _write(place: Path, card: Card) -> None:
    durable_file.write(place, _toml(msgspec.to_builtins(card)).encode())


def _toml(card: dict[str, Any]) -> str:
    """Return a card as TOML: values first, then tables, and lists of tables."""
    lines: list[str] = []
    tables: list[str] = []
    for key, value in card.items():
        if isinstance(value, dict):
            tables += ["", f"[{key}]", *_values(value)]
            for inner, rows in value.items():
                if rows and isinstance(rows, list | tuple) and isinstance(rows[0], dict):
                    for row in rows:
                        tables += ["", f"[[{key}.{inner}]]", *_values(row)]
        elif value and isinstance(value, list | tuple) and isinstance(value[0], dict):
            for row in value:
                tables += ["", f"[[{key}]]", *_values(row)]
        else:
            lines += _values({key: value})
    return "\n".join([*lines, *tables, ""])


def _values(table: dict[str, Any]) -> list[str]:
    return [
        # A JSON string, number or list is also one in TOML.
        f"{key} = {msgspec.json.encode(value).decode()}"
        for key, value in table.items()
        if value is not None
        and not (isinstance(value, list | tuple) and value and isinstance(value[0], dict))
        and not isinstance(value, dict)
    ]
