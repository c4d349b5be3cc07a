"""The streams that are to run: of the file, of the table, of processors."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.support.processors import processor

from onlooker.config.schema import Config, SourceConfig
from onlooker.config.section import ConfigError
from onlooker.stream import processors
from onlooker.stream.stream_table import StreamTable, StreamTableError
from onlooker.stream.wanted_streams import WantedStreams

DOOR = SourceConfig(url="rtsp://10.0.0.7/1", collection="visitors")
YARD = SourceConfig(url="rtsp://10.0.0.8/1", enabled=False)
SHED = SourceConfig(url="test://moving")


class Asked:
    """A configuration file with two streams, and a collection that may be missing."""

    def __init__(self, table: StreamTable) -> None:
        self.missing: set[str | None] = set()
        self.streams = {"door": DOOR, "yard": YARD}
        self.wanted = WantedStreams(self.load, table, self.check)

    def load(self) -> Config:
        if not self.streams:
            raise ConfigError("the file is empty")
        return Config(streams=dict(self.streams))

    def check(self, config: Config, source: SourceConfig) -> None:
        if source.collection in self.missing:
            raise StreamTableError(f"The collection id: {source.collection} does not exist")

    def __call__(self) -> dict[str, SourceConfig]:
        return self.wanted().streams


@pytest.fixture
def table(tmp_path: Path) -> Iterator[StreamTable]:
    with StreamTable(tmp_path / "streams.db") as opened, opened.runner():
        yield opened


@pytest.fixture
def asked(table: StreamTable) -> Asked:
    return Asked(table)


def test_a_stream_of_the_file_runs_unless_it_is_not_enabled(asked: Asked) -> None:
    assert asked() == {"door": DOOR}
    assert asked.wanted.of_file(asked()) == {"door": DOOR}


def test_added_streams_run_beside_them(asked: Asked, table: StreamTable) -> None:
    table.add("shed", SHED)
    table.add("roof", replace(SHED, enabled=False))
    assert asked() == {"door": DOOR, "shed": SHED}
    assert asked.wanted.of_file(asked()) == {"door": DOOR}
    table.pause("shed")
    table.pause("door")
    assert asked() == {}
    table.resume("shed")
    assert asked() == {"shed": SHED}


def test_the_file_wins(asked: Asked, table: StreamTable) -> None:
    table.add("shed", SHED)
    asked.streams["shed"] = DOOR
    assert asked()["shed"] == DOOR
    assert asked.wanted.troubles == {"shed": "the configuration file has a stream of this name"}


def test_an_added_stream_that_cannot_run_is_left_out(asked: Asked, table: StreamTable) -> None:
    table.add("shed", replace(SHED, collection="gone"))
    asked.missing = {"gone"}
    assert asked() == {"door": DOOR}
    assert asked.wanted.troubles == {"shed": "The collection id: gone does not exist"}
    asked.missing = set()
    assert "shed" in asked()
    assert asked.wanted.troubles == {}


def test_a_processor_has_its_stream_analysed_while_it_is_wanted(
    asked: Asked, table: StreamTable
) -> None:
    table.add("shed", SHED)
    for name, stream in (("a", "door"), ("b", "yard"), ("c", "shed"), ("d", "roof")):
        tags = {"url": "test://moving", "fps": "3"} if stream == "roof" else {}
        processors.create(table, processor(name, stream, threshold=95, **tags))
    assert asked() == {"door": DOOR, "shed": SHED}
    for name in "abcd":
        processors.start(table, name)
    found = asked()
    assert found.keys() == {"door", "yard", "shed", "roof"}
    for source in found.values():
        assert (source.collection, source.threshold, source.topic) == ("staff", 95, "results")
        assert source.enabled
    assert found["yard"].url == YARD.url
    assert (found["roof"].url, found["roof"].fps) == ("test://moving", 3)
    assert asked.wanted.failed == {}
    assert asked.wanted.of_file(found).keys() == {"door"}


def test_a_processor_that_cannot_run_says_why(asked: Asked, table: StreamTable) -> None:
    processors.create(table, processor("a", "cellar"))
    processors.create(table, processor("b", "door"))
    processors.start(table, "a")
    processors.start(table, "b")
    asked.missing = {"staff"}
    assert asked() == {"door": DOOR}, "as the file has it"
    failed = asked.wanted.failed
    assert failed["a"].startswith("Stream cellar doesn't exist. Write [streams.cellar] into")
    assert failed["b"] == "The collection id: staff does not exist"


def test_an_unusable_file_changes_nothing(asked: Asked) -> None:
    asked.streams = {}
    with pytest.raises(ConfigError, match="the file is empty"):
        asked()
