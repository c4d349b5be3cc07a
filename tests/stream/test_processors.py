"""Stream processors in the table: every call in every state."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.processors import data_arn, processor, video_arn

from onlooker.config.schema import SourceConfig
from onlooker.stream import processors
from onlooker.stream.processors import (
    BadProcessor,
    Processor,
    ProcessorExists,
    ProcessorInUse,
    ProcessorNotFound,
    State,
    TooManyProcessors,
)
from onlooker.stream.stream_table import StreamTable

NAME = "door-staff"


@pytest.fixture
def table(tmp_path: Path) -> Iterator[StreamTable]:
    with StreamTable(tmp_path / "streams.db") as opened, opened.runner() as ours:
        assert ours
        yield opened


def found(table: StreamTable, name: str = NAME) -> Processor:
    return processors.find(table, name)


def reported(table: StreamTable, status: State, message: str | None = None) -> None:
    processors.report(table, found(table), status, message)


def brought(table: StreamTable, state: State) -> None:
    """Create a processor and bring it to a state, as calls and the run do."""
    processors.create(table, processor())
    steps: dict[State, list[Callable[[], None]]] = {
        "STOPPED": [],
        "STARTING": [lambda: processors.start(table, NAME)],
        "RUNNING": [lambda: processors.start(table, NAME), lambda: reported(table, "RUNNING")],
        "FAILED": [lambda: processors.start(table, NAME), lambda: reported(table, "FAILED", "no")],
        "STOPPING": [
            lambda: processors.start(table, NAME),
            lambda: reported(table, "RUNNING"),
            lambda: processors.stop(table, NAME),
        ],
    }
    for step in steps[state]:
        step()
    assert found(table).status == state


CALLS: dict[str, Callable[[StreamTable], None]] = {
    "create": lambda table: processors.create(table, processor()),
    "start": lambda table: processors.start(table, NAME),
    "stop": lambda table: processors.stop(table, NAME),
    "delete": lambda table: processors.delete(table, NAME),
    "tag": lambda table: processors.tag(table, NAME, {"team": "a"}),
}
ALLOWED: dict[str, dict[State, State | None]] = {
    "create": {},
    "start": {"STOPPED": "STARTING", "FAILED": "STARTING"},
    "stop": {"RUNNING": "STOPPING"},
    "delete": {"STOPPED": None, "FAILED": None},
    "tag": {each: each for each in ("STOPPED", "STARTING", "RUNNING", "FAILED", "STOPPING")},
}
"""The state after each call; None means that the processor is gone. All else is refused."""


@pytest.mark.parametrize("state", ["STOPPED", "STARTING", "RUNNING", "FAILED", "STOPPING"])
@pytest.mark.parametrize("call", CALLS)
def test_every_call_in_every_state(table: StreamTable, state: State, call: str) -> None:
    brought(table, state)
    before, revision = found(table), table.revision
    if state not in ALLOWED[call]:
        refused = ProcessorExists if call == "create" else ProcessorInUse
        with pytest.raises(refused):
            CALLS[call](table)
        assert found(table) == before
        assert table.revision == revision
        return
    CALLS[call](table)
    after = ALLOWED[call][state]
    if after is None:
        with pytest.raises(ProcessorNotFound, match=NAME):
            found(table)
    else:
        assert found(table).status == after
        assert found(table).wanted == (after in ("STARTING", "RUNNING"))
        if after != state:
            assert found(table).updated >= before.updated
            assert found(table).message is None
    # Tags count from the next start.
    assert (table.revision == revision) == (call == "tag")


@pytest.mark.parametrize("call", ["start", "stop", "delete", "tag"])
def test_a_call_for_none_that_is_there(table: StreamTable, call: str) -> None:
    with pytest.raises(ProcessorNotFound, match="there is no stream processor 'door-staff'"):
        CALLS[call](table)


def test_a_report_that_a_call_has_overtaken_is_dropped(table: StreamTable) -> None:
    brought(table, "RUNNING")
    before = found(table)
    processors.stop(table, NAME)
    processors.report(table, before, "FAILED", "the camera is away")
    assert found(table).status == "STOPPING"
    processors.report(table, found(table), "STOPPED", None)
    assert (found(table).status, found(table).wanted) == ("STOPPED", False)


def test_what_failed_is_not_wanted_unless_it_is_to_run_again(table: StreamTable) -> None:
    brought(table, "RUNNING")
    processors.report(table, found(table), "FAILED", "the workers have died", again=True)
    assert found(table).wanted
    processors.begin(table)
    assert (found(table).status, found(table).message) == ("STARTING", None)
    processors.report(table, found(table), "FAILED", "no such file")
    assert not found(table).wanted


def test_the_time_of_a_state_does_not_change_with_its_message(table: StreamTable) -> None:
    brought(table, "RUNNING")
    before = found(table).updated
    reported(table, "RUNNING", "no image for 10 s")
    assert (found(table).message, found(table).updated) == ("no image for 10 s", before)


@pytest.mark.parametrize(
    ("state", "after"),
    [
        ("STOPPED", "STOPPED"),
        ("STARTING", "STARTING"),
        ("RUNNING", "STARTING"),
        ("FAILED", "FAILED"),
        ("STOPPING", "STOPPED"),
    ],
)
def test_a_new_run_begins_with_what_was_wanted(
    table: StreamTable, state: State, after: State
) -> None:
    brought(table, state)
    processors.begin(table)
    assert found(table).status == after


def test_without_a_run_nothing_is_said_to_run(tmp_path: Path) -> None:
    with StreamTable(tmp_path / "streams.db") as table:
        with table.runner():
            brought(table, "RUNNING")
        assert found(table).status == "FAILED"
        assert "start `onlooker run`" in str(found(table).message)
        assert processors.after(table, "", 9)[0].status == "FAILED"
        processors.start(table, NAME)  # for when one comes
        assert processors.stored(table)[0].wanted
        processors.delete(table, NAME)
        with table.runner():
            brought(table, "STOPPING")
        assert found(table).status == "STOPPED"


def test_a_stream_has_one_running_processor(table: StreamTable) -> None:
    brought(table, "RUNNING")
    processors.create(table, processor("other", topic="others"))
    with pytest.raises(ProcessorInUse, match=r"door is the input of door-staff, which runs"):
        processors.start(table, "other")
    processors.stop(table, NAME)
    with pytest.raises(ProcessorInUse):
        processors.start(table, "other")
    reported(table, "STOPPED")
    processors.start(table, "other")


def test_there_is_a_limit(table: StreamTable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processors, "MAX_PROCESSORS", 3)
    for number in range(3):
        processors.create(table, processor(f"p{number}"))
    with pytest.raises(TooManyProcessors, match="limit - 3"):
        processors.create(table, processor("p3"))
    assert [each.name for each in processors.after(table, "p0", 5)] == ["p1", "p2"]
    assert [each.name for each in processors.after(table, "", 2)] == ["p0", "p1"]


def test_a_source_in_tags() -> None:
    made = processor(url="rtsp://10.0.0.7/1", fps="2.5", policy="live")
    assert made.source() == SourceConfig(url="rtsp://10.0.0.7/1", fps=2.5, policy="live")
    assert processor().source() is None


@pytest.mark.parametrize(
    ("tags", "cause"),
    [
        ({"fps": "2"}, "needs onlooker:url beside it"),
        ({"url": "ftp://10.0.0.7/1"}, "is not supported"),
        ({"url": "test://moving", "fps": "fast"}, "fps"),
        ({"url": "test://moving", "fps": "0"}, "fps"),
        ({"url": "test://moving", "policy": "newest"}, "policy"),
    ],
)
def test_tags_that_cannot_be_used(table: StreamTable, tags: dict[str, str], cause: str) -> None:
    with pytest.raises(BadProcessor, match=cause):
        processors.create(table, processor(threshold=None, **tags))
    processors.create(table, processor())
    wrong = {f"onlooker:{key}": value for key, value in tags.items()}
    with pytest.raises(BadProcessor, match=cause):
        processors.tag(table, NAME, wrong)
    assert found(table).tags == {}


def test_tags_are_added_and_removed(table: StreamTable) -> None:
    processors.create(table, processor(url="test://moving"))
    processors.tag(table, NAME, {"team": "a"})
    assert found(table).tags == {"onlooker:url": "test://moving", "team": "a"}
    processors.tag(table, NAME, {}, ("onlooker:url", "unknown"))
    assert found(table).tags == {"team": "a"}


def test_a_stream_is_analysed_as_the_processor_asks_for() -> None:
    source = SourceConfig(url="test://moving", enabled=False, faces=False, text=False, nth=3)
    applied = processor(threshold=92.5).applied(source)
    assert applied == SourceConfig(
        url="test://moving",
        faces=True,
        text=False,
        nth=3,
        collection="staff",
        threshold=92.5,
        topic="results",
    )
    for given in (None, 0.0, 79.9):
        assert processor(threshold=given).applied(source).threshold == 80.0


@pytest.mark.parametrize(
    ("arn", "name"),
    [
        (video_arn("door"), "door"),
        (data_arn("A.b-c_9"), "A.b-c_9"),
        ("arn:aws-cn:kinesis:cn-north-1:123456789012:stream/a", "a"),
        ("arn:aws:kinesisvideo:us-east-1:123456789012:stream/a/1/2", "a"),
    ],
)
def test_the_name_in_an_arn(arn: str, name: str) -> None:
    assert processors.stream_of(arn) == name


@pytest.mark.parametrize(
    "arn",
    [
        "door",
        "arn:aws:kinesis:us-east-1:000000000000:stream/",
        "arn:aws:kinesis:us-east-1:000000000000:table/door",
        "arn:aws:kinesis:us-east-1:000000000000:stream/ä",
        f"arn:aws:kinesis:us-east-1:000000000000:stream/{'a' * 129}",
    ],
)
def test_an_arn_without_a_name(arn: str) -> None:
    with pytest.raises(BadProcessor, match="ends in stream/NAME"):
        processors.stream_of(arn)
