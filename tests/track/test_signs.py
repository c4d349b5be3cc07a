"""Events about lines of text."""

import pytest

from onlooker.track.box_motion import begin
from onlooker.track.line_tracker import LineTrack
from onlooker.track.signs import Signs
from onlooker.types import Quad, Reading, TextLine

QUAD: Quad = ((0.0, 0.0), (40.0, 0.0), (40.0, 10.0), (0.0, 10.0))


def new_track() -> LineTrack:
    return LineTrack("t", 3, begin((0, 0, 40, 10), 0.0), 0.0, 0.0, "", 0.9, b"")


class Stream:
    """The signs of a stream in which one line is shown."""

    def __init__(self, expect: str | None = None) -> None:
        self.signs = Signs(expect=expect)
        self.track = new_track()
        self.events: list[Reading] = []

    def show(self, time: float, text: str, score: float = 0.9, height: float = 10.0) -> list[str]:
        track = self.track
        track.last, track.detections = time, track.detections + 1
        track.ballot.vote(text, [score] * len(text))
        line = TextLine(text=text, score=score, quad=QUAD, words=())
        self.signs.see(f"record-{time:g}", time, [(track, line, height)])
        found = self.signs.tell("door", [track], time)
        self.events += found
        return [event.state for event in found]

    def end(self) -> list[str]:
        found = self.signs.end("door", [self.track])
        self.events += found
        return [event.state for event in found]


def test_a_line_from_its_first_frame_to_its_last() -> None:
    stream = Stream()
    assert stream.show(1.0, "EXIT 5") == ["new"]
    assert stream.show(1.1, "EXIT 5", height=20.0) == []
    assert stream.show(1.2, "EXIT S", height=15.0) == []
    assert stream.end() == ["end"]
    last = stream.events[-1]
    assert (last.text, last.runner_up, last.frames) == ("EXIT 5", "EXIT S", 3)
    assert (last.start, last.end) == (0.0, 1.2)
    assert (last.record_id, last.time) == ("record-1.1", 1.1)
    assert 0.8 < last.score < 0.9


def test_frames_in_which_only_its_pixels_were_there_count_but_are_never_the_best() -> None:
    stream = Stream()
    stream.show(1.0, "EXIT 5", score=0.7)
    stream.show(1.1, "EXIT 5", score=0.99, height=0.0)
    stream.end()
    last = stream.events[-1]
    assert (last.frames, last.record_id) == (2, "record-1")


def test_another_reading_is_an_update_but_not_every_frame() -> None:
    stream = Stream()
    stream.show(1.0, "EXLT")
    assert stream.show(1.1, "EXIT", 0.99) == []
    assert stream.show(2.5, "EXIT", 0.99) == ["update"]
    assert stream.show(4.0, "EXIT", 0.99) == []


def test_a_line_that_was_never_real_causes_no_events() -> None:
    stream = Stream()
    assert stream.show(1.0, "x") == []
    assert stream.end() == []
    assert stream.signs.signs == {}


@pytest.mark.parametrize(
    ("texts", "told"),
    [(["B-MW 1Z34"], "B-MW 1234"), (["B-MW 1234", "B-MW 1284"], "B-MW 1234"), (["TAXI"], None)],
)
def test_only_what_is_expected_is_told(texts: list[str], told: str | None) -> None:
    stream = Stream(expect=r"[A-Z]{1,3}-[A-Z]{1,2} \d{1,4}")
    for number, text in enumerate(texts):
        stream.show(1.0 + number / 10, text, 0.95)
    stream.end()
    assert {event.text for event in stream.events} == ({told} if told else set())
