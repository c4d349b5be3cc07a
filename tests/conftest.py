"""Fixtures that more than one test module uses."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# A busy machine is no reason to fail, and a run of all tests is the same each time. New examples:
# pytest --hypothesis-profile=search
settings.register_profile("search", deadline=None)
settings.register_profile("settled", deadline=None, derandomize=True)
settings.load_profile("settled")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def samples() -> Path:
    """Development pictures and videos with truth, which are not part of the project.

    `$ONLOOKER_SAMPLES` names their folder; without it, `../shared/data` beside the project.
    """
    folder = Path(os.environ.get("ONLOOKER_SAMPLES", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no sample pictures at {folder}; set ONLOOKER_SAMPLES to their folder")
    return folder
