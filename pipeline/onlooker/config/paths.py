"""The folder of what is the user's: collections, records and models of their own."""

import os
from pathlib import Path

import platformdirs


def folder() -> Path:
    """`$ONLOOKER_DATA`, or Onlooker's folder in the user's data directory."""
    given = os.environ.get("ONLOOKER_DATA")
    return Path(given) if given else platformdirs.user_data_path("onlooker")
