"""The user's folders."""

import os
from pathlib import Path

import platformdirs


def data_folder() -> Path:
    """Return the folder of collections, records and the user's models.

    It is `$ONLOOKER_DATA`, or Onlooker's folder in the user's data directory.
    """
    given = os.environ.get("ONLOOKER_DATA")
    return Path(given) if given else platformdirs.user_data_path("onlooker")


def config_folder() -> Path:
    """Return Onlooker's folder in the user's configuration directory."""
    return platformdirs.user_config_path("onlooker")
