"""Records with a line of text that was read, as the tracker makes them."""

from typing import Literal

from tests.support.frames import frame

from onlooker.config.schema import Config
from onlooker.record.frame_record import build
from onlooker.rekognition.shapes import StreamRecord
from onlooker.types import LineRef, Reading, TextLine

READING = "aaaaaaaa-2222-4333-8444-{:012d}"
QUAD = ((100.0, 40.0), (300.0, 40.0), (300.0, 70.0), (100.0, 70.0))
BELOW = ((100.0, 140.0), (300.0, 140.0), (300.0, 170.0), (100.0, 170.0))


def reading(
    number: int,
    text: str,
    start: float,
    end: float,
    stream: str = "door",
    state: Literal["new", "update", "end"] = "end",
    beside: str = "",
) -> StreamRecord:
    """Return the record of a frame with an event about a line.

    beside: the text of another line of the frame.
    """
    track = LineRef(id=READING.format(number), number=number, text=text)
    lines = [TextLine(text=text, score=0.9, quad=QUAD, words=(), track=track)]
    if beside:
        lines.append(TextLine(text=beside, score=0.9, quad=BELOW, words=()))
    made = frame(stream, number, width=640, height=360, lines=tuple(lines))
    record_id = build(made, Config(), "d").RecordId
    event = Reading(
        id=track.id,
        state=state,
        stream=stream,
        number=number,
        start=start,
        end=end,
        text=text,
        score=0.9,
        runner_up=None,
        frames=5,
        record_id=record_id,
        time=start,
        quad=QUAD,
    )
    made = frame(stream, number, width=640, height=360, lines=tuple(lines), readings=(event,))
    return build(made, Config(), "d")
