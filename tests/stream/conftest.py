"""A hub and its peers."""

from pathlib import Path

import pytest
from tests.support.line import Line


@pytest.fixture
def line(tmp_path: Path) -> Line:
    return Line(tmp_path)
