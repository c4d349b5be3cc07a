"""Fixtures that more than one test module uses."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# A busy machine is no reason to fail, and each run has the same examples. To search for new ones:
# pytest --hypothesis-profile=search
settings.register_profile("search", deadline=None)
settings.register_profile("settled", deadline=None, derandomize=True)
settings.load_profile("settled")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def samples() -> Path:
    """The folder of sample images and videos with ground truth, which are not part of the project.

    It is the one in `$ONLOOKER_SAMPLES`, else `../shared/data` beside the project.
    """
    folder = Path(os.environ.get("ONLOOKER_SAMPLES", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no sample images at {folder}; set ONLOOKER_SAMPLES to their folder")
    return folder
