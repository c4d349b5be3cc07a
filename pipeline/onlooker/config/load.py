"""The configuration file in force, and its errors with hints.

The file is the first that exists of `$ONLOOKER_CONFIG`, `./onlooker.toml` and `onlooker.toml` in
the user's configuration directory. `onlooker config show` prints the settings in force, `onlooker
config check` reports errors.
"""

import difflib
import os
import re
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec

from onlooker import toml_file
from onlooker.config import paths
from onlooker.config.schema import Config, SourceConfig
from onlooker.config.section import ConfigError
from onlooker.config.sinks import SinkConfig
from onlooker.toml_file import TomlError

NAMED: dict[str, Any] = {"streams": SourceConfig, "sinks": SinkConfig}
"""Sections of which there are several, each with a name, and the struct of one."""

FORMATS = {
    "streams": "a stream's name has 1 to 128 letters, digits, dots, hyphens and underscores",
    "sinks": "a sink's name has 1 to 64 letters, digits, hyphens and underscores",
    "account": "an account has 12 digits",
    "listen": "write an address and a port, such as 127.0.0.1:9464",
    "cors_origins": 'an origin is like "http://localhost:3000": in lower case, without a path',
    "speed": 'write "max" or a factor such as "8x"',
}
"""Values that a regular expression checks, in words."""


def find() -> Path | None:
    """Return the path of the configuration file in force; None means that there is none."""
    if given := os.environ.get("ONLOOKER_CONFIG"):
        return Path(given)
    places = [Path("onlooker.toml"), paths.config_folder() / "onlooker.toml"]
    return next((path for path in places if path.is_file()), None)


def load(path: Path | None = None) -> Config:
    """Read `path`, or the file in force, or the defaults.

    Raises ConfigError if the file is missing, is not TOML, or has an unknown key or a value out of
    range.
    """
    path = path or find()
    if path is None:
        return Config()
    try:
        table = toml_file.read(path)
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: no such file; name one that exists, or none to use the defaults"
        ) from None
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except TomlError as error:
        raise ConfigError(f"{path}: {error}") from error
    try:
        return msgspec.convert(table, Config)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path}: {_explain(str(error), table)}") from error


def has_section(name: str, path: Path) -> bool:
    """Return whether the file at `path`, which `load` has read, has the section `name`."""
    return name in toml_file.read(path)


def dump(config: Config) -> str:
    """Return the configuration as TOML that `load` reads back to an equal one."""
    tables = msgspec.to_builtins(config)
    for section in NAMED:
        named = tables.pop(section)
        tables |= {f"{section}.{_toml(name)}": settings for name, settings in named.items()}
    lines: list[str] = []
    for name, section in tables.items():
        lines.append(f"[{name}]")
        for key, value in section.items():
            # TOML has no null: the key is left out instead.
            shown = _toml(key) if name == "topics" else key
            lines.append(f"# {key} is not set" if value is None else f"{shown} = {_toml(value)}")
        lines.append("")
    return "\n".join(lines)


def _toml(value: object) -> str:
    # A JSON string is a TOML string, except that JSON allows one control character.
    return msgspec.json.encode(value).decode().replace("\x7f", "\\u007f")


def _explain(message: str, table: dict[str, Any]) -> str:
    """Return msgspec's message with the stream's or sink's name, which it omits, and a hint."""
    hint = _hint(message)
    for section, struct in NAMED.items():
        if f"`$.{section}[...]" in message:
            named = table[section].items()
            name = next((name for name, each in named if not _is(struct, each)), "[...]")
            message = message.replace(f"$.{section}[...]", f"$.{section}.{name}")
    return message + hint


def _is(struct: Any, settings: object) -> bool:
    try:
        msgspec.convert(settings, struct)
    except msgspec.ValidationError:
        return False
    return True


def _hint(message: str) -> str:
    """Return what to write instead, as "; did you mean …?" or a list; "" if nothing is known."""
    place = r"`\$\.(\w+)(?:\[\.\.\.\])?\.(\w+)(?:\[\d+\])?`"
    if enum := re.fullmatch(f"Invalid enum value .* - at {place}", message):
        section, key = enum.groups()
        return f"; known values are {', '.join(_words(get_type_hints(_struct(section))[key]))}"
    matching = r"Expected `str` matching regex .* - at .*\.(\w+)(\[\d+\])?`"
    if wrong := re.fullmatch(matching, message):
        return f"; {FORMATS[wrong[1]]}"
    one = re.fullmatch(r"Expected `object`, got .* - at `\$\.(streams|sinks)\[\.\.\.\]`", message)
    if one:
        return f"; write [{one[1]}.NAME] above the settings of a {one[1].removesuffix('s')}"
    unknown = re.search(r"unknown field `(\w+)`(?: - at `\$\.(\w+)(?:\[\.\.\.\])?`)?", message)
    if not unknown:
        return ""
    key, section = unknown.groups()
    known = _struct(section).__struct_fields__ if section else Config.__struct_fields__
    parts = [name for name in known if key in name or name in key]
    near = parts or difflib.get_close_matches(key, known, 1)
    return f"; did you mean `{near[0]}`?" if near else f"; known keys are {', '.join(known)}"


def _struct(section: str) -> Any:
    """Return the struct of a section, or of each of its streams or sinks."""
    return NAMED.get(section) or get_type_hints(Config)[section]


def _words(hint: Any) -> list[str]:
    """Return the words that a type allows."""
    return [hint] if isinstance(hint, str) else [w for each in get_args(hint) for w in _words(each)]
