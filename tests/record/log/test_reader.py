"""Searching a log, and what that costs."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.support.frame_records import make_records
from tests.support.logs import steps

from onlooker.record.log import reader as logs
from onlooker.record.log.reader import Log, read_log
from onlooker.record.log.writer import Writer
from onlooker.rekognition.shapes import StreamRecord, decode, encode

Records = Callable[..., list[StreamRecord]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "records.db"


@pytest.fixture
def log(path: Path) -> Iterator[Writer]:
    with Writer(path) as opened:
        yield opened


def at(record: StreamRecord, seconds: float) -> StreamRecord:
    """The record, `seconds` after the beginning of its video."""
    video = record.InputInformation.KinesisVideo
    moved = replace(video, ProducerTimestamp=seconds, FrameOffsetInSeconds=0.0)
    return replace(record, InputInformation=replace(record.InputInformation, KinesisVideo=moved))


def reading(record: StreamRecord, text: str) -> StreamRecord:
    """The record with `text` in place of its line."""
    [line] = record.TextDetections
    return replace(record, TextDetections=(replace(line, DetectedText=text),))


def of(record: StreamRecord, person: str) -> StreamRecord:
    """The record with `person` as the best match of its face."""
    match = (
        b'"MatchedFaces":[{"Similarity":99.0,"Face":{"FaceId":"f","BoundingBox":{"Width":1.0,'
        b'"Height":1.0,"Left":0.0,"Top":0.0},"ImageId":"i","ExternalImageId":"%s",'
        b'"Confidence":99.0}}]'
    )
    return decode(encode(record).replace(b'"MatchedFaces":[]', match % person.encode()))


class TestQuery:
    def test_by_all_conditions(self, log: Writer, records: Records) -> None:
        quiet = [at(record, 10.0 + n) for n, record in enumerate(records(3, "yard", lines=0))]
        loud = [at(record, 20.0 + n) for n, record in enumerate(records(3, "door"))]
        log.append([*quiet, *loud])
        assert list(log.query()) == [*quiet, *loud]
        assert list(log.query(stream="yard")) == quiet
        assert list(log.query(text="AUS KÖLN")) == loud
        assert list(log.query(text="grüsse")) == loud  # as casefold has it
        assert list(log.query(text="Bonn")) == []
        assert list(log.query(start=11, end=21)) == [*quiet[1:], loud[0]]
        assert list(log.query(stream="door", text="köln", start=21.5)) == loud[2:]
        assert list(log.query(person="ada")) == []

    def test_by_person(self, log: Writer, records: Records) -> None:
        named = of(records(2)[1], "ada")
        log.append([records(1)[0], named])
        assert list(log.query(person="ada")) == [named]

    def test_what_was_missed(self, log: Writer, records: Records) -> None:
        log.append([*records(5, "a"), *records(5, "b")])
        assert [entry.sequence for entry in log.missed("b", 1, 5)] == [2, 3, 4]
        assert [entry.sequence for entry in log.missed("b", 3, 99)] == [4, 5]
        assert [entry.sequence for entry in log.missed("a", 0, 99, limit=2)] == [1, 2]
        assert log.missed("c", 0, 99) == []

    def test_the_user_need_not_name_his_log(
        self, tmp_path: Path, records: Records, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("ONLOOKER_DATA", str(tmp_path))
        with Writer(logs.default_path()) as log:
            log.append(records(2))
        assert list(read_log()) == list(read_log(str(tmp_path / "records.db"))) == records(2)


@pytest.fixture(scope="module")
def varied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of three streams in turn, with people, lines and times in many combinations."""
    path = tmp_path_factory.mktemp("varied") / "records.db"
    made = [make_records(100, stream=stream) for stream in "abc"]
    with Writer(path) as log:
        for number, group in enumerate(zip(*made, strict=True)):
            for place, record in enumerate(group):
                text = ["EXIT", "Exit 2", "door", "straße", "next door"][(number + place) % 5]
                record = at(reading(record, text), float(number % 40 + place))
                if number % 3 != place:
                    record = of(record, ["ada", "grace"][number % 2])
                log.append([record])
    return path


@given(
    stream=st.none() | st.sampled_from(["a", "b", "nowhere"]),
    person=st.none() | st.sampled_from(["ada", "grace", "anybody"]),
    text=st.none() | st.sampled_from(["exit", "DOOR", "STRASSE", "2", "", "nothing"]),
    start=st.none() | st.floats(-1, 45),
    end=st.none() | st.floats(-1, 45),
    page=st.integers(1, 30),
)
def test_a_query_gives_what_going_through_the_log_would(
    varied: Path,
    stream: str | None,
    person: str | None,
    text: str | None,
    start: float | None,
    end: float | None,
    page: int,
) -> None:
    def fits(record: StreamRecord) -> bool:
        line = record.TextDetections[0].DetectedText
        people = {
            match.Face.ExternalImageId
            for face in record.FaceSearchResponse
            for match in face.MatchedFaces
        }
        return (
            (stream is None or record.stream == stream)
            and (person is None or person in people)
            and (text is None or text.casefold() in line.casefold())
            and (start is None or record.time >= start)
            and (end is None or record.time < end)
        )

    with pytest.MonkeyPatch.context() as patch, Log(varied) as log:
        patch.setattr(logs, "PAGE_RECORDS", page)
        patch.setattr(logs, "PAGE_POSITIONS", page)
        expected = [record for record in log.read() if fits(record)]
        assert list(log.query(stream, person, text, start, end)) == expected


class TestCost:
    """No query but that for everything reads the whole log."""

    @pytest.fixture
    def logs_of_two_sizes(self, tmp_path: Path, records: Records) -> Iterator[tuple[Log, Log]]:
        opened = []
        for size in (600, 3600):
            path = tmp_path / f"{size}.db"
            made = [at(record, float(n)) for n, record in enumerate(records(size))]
            with Writer(path) as writer:
                writer.append(made)
            opened.append(Log(path))
        yield opened[0], opened[1]
        for log in opened:
            log.close()

    @pytest.mark.parametrize(
        "work",
        [
            lambda log: log.newest("video"),
            lambda log: log.last(10, "video"),
            lambda log: log.last(10),
            lambda log: log.position,
            lambda log: log.sequences_at(log.position - 10),
            lambda log: log.missed("video", 0, 10**6, limit=50),
            lambda log: log.after(100, 50),
            lambda log: list(log.query(start=200, end=210)),
            lambda log: list(log.query("video", start=200, end=210)),
            lambda log: list(log.query(text="nowhere")),
            lambda log: list(log.query(person="nobody")),
        ],
    )
    def test_it_does_not_depend_on_the_size(
        self, logs_of_two_sizes: tuple[Log, Log], work: Callable[[Log], object]
    ) -> None:
        few, many = (steps(log._database, partial(work, log)) for log in logs_of_two_sizes)
        assert many <= few + 2

    def test_a_line_is_searched_once(
        self, path: Path, log: Writer, records: Records, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lines = [f"page {number}" for number in range(1200)]
        log.append(
            [reading(record, line) for record, line in zip(records(1200), lines, strict=True)]
        )
        searched: list[str] = []

        def holds(line: str, part: str) -> bool:
            searched.append(line)
            return part in line

        monkeypatch.setattr(logs, "holds", holds)
        found = list(read_log(path, text="PAGE"))
        assert [record.TextDetections[0].DetectedText for record in found] == lines
        assert sorted(searched) == sorted(lines)
