"""Fixtures that more than one test module uses."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# A busy machine is no reason to fail.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def samples() -> Path:
    """Development pictures and films with truth, which are not part of the project.

    `$ONLOOKER_SAMPLES` names their folder; without it, `../shared/data` beside the project.
    """
    folder = Path(os.environ.get("ONLOOKER_SAMPLES", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no sample pictures at {folder}; set ONLOOKER_SAMPLES to their folder")
    return folder
