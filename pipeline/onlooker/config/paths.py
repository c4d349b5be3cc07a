"""The user's folders. Raises ConfigError if a user without a home folder has none."""

import os
from pathlib import Path

import platformdirs

from onlooker.config.section import ConfigError


def data_folder() -> Path:
    """Return the folder of collections, records and the user's models.

    It is `$ONLOOKER_DATA`, or Onlooker's folder in the user's data directory.
    """
    return _given("ONLOOKER_DATA") or _at_home("ONLOOKER_DATA", platformdirs.user_data_path())


def models_folder() -> Path:
    """Return the folder of built models: `$ONLOOKER_MODELS`, or one in the user's cache."""
    given = _given("ONLOOKER_MODELS")
    return given or _at_home("ONLOOKER_MODELS", platformdirs.user_cache_path()) / "models"


def config_folder() -> Path:
    """Return Onlooker's folder in the user's configuration directory, which may not exist."""
    return platformdirs.user_config_path("onlooker")


def _given(variable: str) -> Path | None:
    given = os.environ.get(variable)
    return Path(given) if given else None


def _at_home(variable: str, place: Path) -> Path:
    if not place.is_absolute():  # a folder of the name "~" would be made here
        raise ConfigError(
            f"{place}: the user has no home folder; set HOME, or {variable} to a folder"
        )
    return place / "onlooker"
