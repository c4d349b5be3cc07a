"""Fixtures that more than one test module uses."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from tests.support import pictures as fetched

# A busy machine is no reason to fail, and each run has the same examples. To search for new ones:
# pytest --hypothesis-profile=search
settings.register_profile("search", deadline=None)
settings.register_profile("settled", deadline=None, derandomize=True)
settings.load_profile("settled")

if TYPE_CHECKING:
    from tests.support.brokers import MqttBroker

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = Path(os.environ.get("ONLOOKER_SAMPLES", ROOT.parent / "shared" / "data"))


@pytest.fixture(scope="session")
def pictures() -> Path:
    """The folder of photographs and films that everybody can fetch: `tests.support.pictures`."""
    return fetched.folder()


@pytest.fixture(scope="session")
def samples() -> Path:
    """The folder of more images and videos with ground truth, which are not part of the project.

    It is the one in `$ONLOOKER_SAMPLES`, else `../shared/data` beside the project.
    """
    return SAMPLES


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is measured on the samples as well, if they are not there."""
    if SAMPLES.is_dir():
        return
    beyond = [item for item in items if "samples" in getattr(item, "fixturenames", ())]
    config.hook.pytest_deselected(items=beyond)
    items[:] = [item for item in items if item not in beyond]


def pytest_report_header() -> str:
    """Say which images the floors of accuracy are measured on."""
    if SAMPLES.is_dir():
        return f"images: those of tests/data/pictures.toml, and the samples in {SAMPLES}"
    return "images: those of tests/data/pictures.toml (ONLOOKER_SAMPLES may name a folder of more)"


@pytest.fixture
def mosquitto(tmp_path: Path) -> "Iterator[MqttBroker]":
    """A broker of MQTT, with a subscriber to everything."""
    from tests.support.brokers import MqttBroker

    made = MqttBroker(tmp_path)
    made.start()
    try:
        yield made
    finally:
        made.close()
