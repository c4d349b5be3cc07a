"""Records to write and to send, and a log to write them to."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.frame_records import make_records

from onlooker.record.log.writer import Writer
from onlooker.rekognition.shapes import StreamRecord

Records = Callable[..., list[StreamRecord]]


@pytest.fixture
def records() -> Records:
    return make_records


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Writer]:
    with Writer(tmp_path / "records.db") as opened:
        yield opened
