"""Records as lines of an open file."""

import io
from pathlib import Path

from tests.support.frames import frame

from onlooker.config.schema import Config
from onlooker.record.frame_record import build
from onlooker.record.log.writer import Writer
from onlooker.record.sinks.line_writer import LineWriter
from onlooker.record.sinks.sink import Follower
from onlooker.rekognition.shapes import decode


def test_only_the_records_of_its_streams_are_written_each_once(tmp_path: Path) -> None:
    lines = io.BytesIO()
    writer = LineWriter(lines)
    writer.streams = frozenset(["door"])
    with Writer(tmp_path / "r.db") as log:
        follower = Follower(log, writer)
        for index in range(3):
            log.append([build(frame(name, index), Config(), "d") for name in ("door", "yard")])
            follower.catch_up()
    found = [decode(line) for line in lines.getvalue().splitlines()]
    assert [(one.stream, one.FrameInformation.Index) for one in found] == [
        ("door", index) for index in range(3)
    ]
