"""A hub with its peers, a gateway with its machines, and a small video."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support import steps
from tests.support.gateway_site import Site
from tests.support.line import Line


@pytest.fixture
def line(tmp_path: Path) -> Line:
    return Line(tmp_path)


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return steps.video(tmp_path_factory.mktemp("video") / "small.mp4", steps.FRAMES)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.close()
