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

pytest_plugins = ("tests.support.skips",)

ROOT = Path(__file__).resolve().parent.parent
LONGEST = (
    *("proofs/test_proofs", "test_golden", "test_videos", "cli/test_replay", "test_wheel"),
    *("api/test_hostility", "api/test_server", "stream/test_cameras", "api/test_kinesis_clients"),
    *("vision/test_text_finder", "vision/test_text_reader", "vision/test_attributes"),
    *("vision/test_analyser", "stream/test_remote_worker", "stream/test_supervisor"),
    *("stream/test_processor_states", "stream/test_ray_replay", "stream/test_sink_processes"),
    *("cli/test_demo_picture", "api/test_stream_pages", "cli/test_sinks", "api/test_clients"),
    *("api/test_connection_limits", "api/test_kinesis_server", "identity/test_promises"),
    *("console/test_people_page", "console/test_every_page", "console/test_console_picture"),
    *("console/test_streams_page", "console/test_smooth_video", "console/test_try_page"),
    *("api/test_app", "api/test_secured_jobs", "jobs/test_job_processes", "cli/test_stream"),
)
"""The modules that take longest. They begin first, so that all processes end together."""

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
    """Begin with the longest; leave out what is measured on the samples, if they are not there."""
    turns = {ROOT / "tests" / f"{name}.py": turn for turn, name in enumerate(LONGEST)}
    if gone := [str(path) for path in turns if not path.is_file()]:
        raise pytest.UsageError(f"LONGEST names modules that are not there: {', '.join(gone)}")
    items.sort(key=lambda item: turns.get(item.path, len(turns)))
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
