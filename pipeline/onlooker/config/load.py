"""The configuration file in force, read into its structs; an unknown key is an error with a hint.

The file is the first that exists of `$ONLOOKER_CONFIG`, `./onlooker.toml` and `onlooker.toml` in
the user's configuration directory. Every value has a default, so no file is needed.
`onlooker config show` prints what is in force, `onlooker config check` says what is wrong.
"""

import difflib
import os
import re
import tomllib
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec
import platformdirs

from onlooker.config.schema import Config, ConfigError, SourceConfig


def find() -> Path | None:
    """The configuration file in force, or None where the defaults are."""
    if given := os.environ.get("ONLOOKER_CONFIG"):
        return Path(given)
    places = [Path("onlooker.toml"), platformdirs.user_config_path("onlooker") / "onlooker.toml"]
    return next((path for path in places if path.is_file()), None)


def load(path: Path | None = None) -> Config:
    """Read `path`, or the file that `find` names, or the defaults.

    Raises ConfigError for a missing file, bad TOML, an unknown key or a value out of range.
    """
    path = path or find()
    if path is None:
        return Config()
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: no such file; name one that is there, or none: the defaults hold then"
        ) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error
    try:
        return msgspec.convert(table, Config)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path}: {_told(str(error), table)}") from error


def dump(config: Config) -> str:
    """The configuration as TOML that `load` reads back to an equal one."""
    tables = msgspec.to_builtins(config)
    streams = tables.pop("streams")
    tables |= {f"streams.{_toml(name)}": source for name, source in streams.items()}
    lines: list[str] = []
    for name, section in tables.items():
        lines.append(f"[{name}]")
        for key, value in section.items():
            # TOML has no null: a key that is left out is the same.
            lines.append(f"# {key} is not set" if value is None else f"{key} = {_toml(value)}")
        lines.append("")
    return "\n".join(lines)


def _toml(value: object) -> str:
    # A JSON string is one of TOML's, but for the one control character that JSON lets stand.
    return msgspec.json.encode(value).decode().replace("\x7f", "\\u007f")


def _told(message: str, table: dict[str, Any]) -> str:
    """msgspec's message with the stream's name, which it leaves out, and what would be right."""
    hint = _hint(message)
    if "`$.streams[...]" in message:
        sources = table["streams"].items()
        name = next((name for name, source in sources if not _is_source(source)), "[...]")
        message = message.replace("$.streams[...]", f"$.streams.{name}")
    return message + hint


def _is_source(source: object) -> bool:
    try:
        msgspec.convert(source, SourceConfig)
    except msgspec.ValidationError:
        return False
    return True


def _hint(message: str) -> str:
    """`; did you mean 'size'?` for an unknown key that is near a known one, or the known values."""
    place = r"`\$\.(\w+)(?:\[\.\.\.\])?\.(\w+)`"
    if enum := re.fullmatch(f"Invalid enum value .* - at {place}", message):
        section, key = enum.groups()
        owner = SourceConfig if section == "streams" else get_type_hints(Config)[section]
        return f"; known values are {', '.join(_words(get_type_hints(owner)[key]))}"
    found = re.search(r"unknown field `(\w+)`(?: - at `\$\.(\w+)(?:\[\.\.\.\])?`)?", message)
    if not found:
        return ""
    unknown, section = found.groups()
    owner = get_type_hints(Config)[section] if section else Config
    owner = SourceConfig if section == "streams" else owner
    near = difflib.get_close_matches(unknown, owner.__struct_fields__, 1)
    known = ", ".join(owner.__struct_fields__)
    return f"; did you mean `{near[0]}`?" if near else f"; known keys are {known}"


def _words(hint: Any) -> list[str]:
    """The words that a type lets through."""
    return [hint] if isinstance(hint, str) else [w for each in get_args(hint) for w in _words(each)]
