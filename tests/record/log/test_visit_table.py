"""The visits in the log."""

from pathlib import Path

import pytest
from tests.support.appearances import event, record

from onlooker.record.log.reader import Log
from onlooker.record.log.retention import remove_oldest
from onlooker.record.log.visit_table import Visit, VisitQuery, encode_event
from onlooker.record.log.writer import Writer
from onlooker.rekognition.shapes import Appearance


def numbers(found: list[Visit[Appearance]]) -> list[int]:
    return [visit.event.Index for visit in found]


@pytest.fixture
def visits(log: Writer) -> Writer:
    """Visits from 10 to 20 s (anna), 15 to 40 s (unknown) and from 60 s on (anna)."""
    log.append(
        [
            record(0, event(0, "new", 10, 11, "anna")),
            record(1, event(0, "end", 10, 20, "anna"), event(1, "new", 15, 16)),
            record(2, event(1, "end", 15, 40)),
            record(3, event(2, "new", 60, 61, "anna")),
            record(0, event(3, "new", 30, 31, "bert"), stream="yard"),
        ]
    )
    return log


def test_each_visit_is_there_once_as_its_newest_event_has_it(visits: Writer) -> None:
    found = visits.visits(Appearance, VisitQuery())
    assert numbers(found) == [0, 1, 3, 2]
    assert [visit.event.State for visit in found] == ["end", "end", "new", "new"]
    assert [visit.stream for visit in found] == ["door", "door", "yard", "door"]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (VisitQuery(stream="yard"), [3]),
        (VisitQuery(name="anna"), [0, 2]),
        (VisitQuery(name="nobody"), []),
        (VisitQuery(start=20, end=30), [0, 1]),
        (VisitQuery(start=20.5), [1, 3, 2]),
        (VisitQuery(end=15), [0]),
        (VisitQuery("door", "anna", 50, 70), [2]),
    ],
)
def test_conditions(visits: Writer, wanted: VisitQuery, expected: list[int]) -> None:
    assert numbers(visits.visits(Appearance, wanted)) == expected


def test_a_record_that_comes_again_changes_nothing(visits: Writer) -> None:
    before = visits.visits(Appearance, VisitQuery())
    visits.append([record(0, event(0, "new", 10, 11, "anna"))])
    assert visits.visits(Appearance, VisitQuery()) == before


def test_another_process_reads_them(visits: Writer, tmp_path: Path) -> None:
    with Log(visits.path) as reader:
        assert reader.visits(Appearance, VisitQuery()) == visits.visits(Appearance, VisitQuery())


def test_visits_go_with_the_records_of_their_last_event(visits: Writer) -> None:
    with visits._transaction():
        remove_oldest(visits._database)
    assert numbers(visits.visits(Appearance, VisitQuery())) == [3, 2]


def test_an_event_is_one_line_with_its_stream(visits: Writer) -> None:
    stream, event = visits.visits(Appearance, VisitQuery(name="bert"))[0]
    line = encode_event(stream, event)
    assert line.startswith(b'{"StreamName":"yard","AppearanceId":')
    assert isinstance(event, Appearance)
    assert b"\n" not in line
