"""Times and counts in words."""

from datetime import UTC
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from onlooker.console import wording
from onlooker.stream.messages import Counts, StreamStatus

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0, "0:00:00.0"), (3725.25, "1:02:05.2"), (1_790_011_900, "21 Sep 2026, 19:31:40")],
)
def test_clock(seconds: float, expected: str) -> None:
    assert wording.clock(seconds, BERLIN) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0.44, "0.4 s"), (12.4, "12 s"), (89, "89 s"), (300, "5 min"), (7500, "2 h 5 min")],
)
def test_duration(seconds: float, expected: str) -> None:
    assert wording.duration(seconds) == expected


def test_a_similarity_is_never_rounded_up() -> None:
    assert wording.percent(99.99) == "99.9"
    assert wording.percent(100) == "100.0"


def test_numbers() -> None:
    assert wording.number(1234567) == "1\u202f234\u202f567"


@pytest.mark.parametrize("name", [None, "", "No/Zone", "../../etc/passwd", "a" * 100, "\0", "/etc"])
def test_an_unknown_zone_is_the_machines(name: str | None) -> None:
    assert wording.zone(name).utcoffset(None) is not None


def test_a_zone_by_its_name() -> None:
    assert wording.zone("Europe%2FBerlin") == BERLIN
    assert wording.zone("Europe/Berlin") == BERLIN


def test_a_moment_of_a_field() -> None:
    assert wording.moment("2026-09-21T19:31", BERLIN) == 1_790_011_860
    for nonsense in ("", "yesterday", "9999-99-99T00:00", "0001-01-01T00:00"):
        assert wording.moment(nonsense, UTC) is None or nonsense.startswith("0001")


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ({}, ("good", "well")),
        ({"health": "no route to host"}, ("bad", "no route to host")),
        ({"finished": True}, ("over", "ended")),
        ({"finished": True, "error": "cut"}, ("bad", "ended early: cut")),
    ],
)
def test_health(state: dict[str, object], expected: tuple[str, str]) -> None:
    status = StreamStatus(
        name="door",
        counts=Counts(),
        source="source-0.1",
        in_flight=0,
        frames=None,
        finished=False,
        error=None,
        seconds=0.0,
    )
    assert wording.health(replace(status, **state)) == expected
    loading = wording.health(replace(status, **state), loading=True)
    assert loading == (expected if state else ("starting", wording.LOADING))
    assert wording.health(None) == ("starting", "starting")


def test_causes() -> None:
    counts = {"stale": 3, "shed": 0, "strange": 1}
    assert wording.causes(counts, wording.DROPS) == [
        (3, "it came too late from the camera"),
        (1, "strange"),
    ]
