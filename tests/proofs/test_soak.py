"""The judgement of the proof that memory stays flat."""

import pytest
from tests.proofs.soak import Sample, Verdict, unjudged, verdict

FRAMES = 100_000


def life(start: int, end: int, slope: float = 0.0, files: int = 10) -> list[Sample]:
    """Return samples of a process that loads 20 MB in its first 5,000 frames.

    slope: megabytes per 100,000 frames after that. files: descriptors, beside one that is open now
    and then.
    """
    return [
        (n, 20 + 20 * min(1.0, (n - start) / 5000) + slope * n / 1e5, files + (n % 3 == 0))
        for n in range(start, end, 500)
    ]


@pytest.mark.parametrize(("slope", "grows"), [(0.0, False), (0.9, False), (1.1, True)])
def test_growth_is_that_after_the_start(slope: float, grows: bool) -> None:
    assert verdict("track-0.1", life(0, FRAMES, slope), FRAMES).grows is grows


def test_a_process_that_replaced_another_is_judged_by_its_own_life() -> None:
    found = verdict("track-0.2", life(40_000, FRAMES), FRAMES)
    assert found.grows is False
    assert "replaced another after 40000 frames" in found.text
    assert verdict("track-0.2", life(40_000, FRAMES, 2.0), FRAMES).grows


def test_a_process_that_came_near_the_end_is_not_judged() -> None:
    old = verdict("track-0.1", life(0, 90_000), FRAMES)
    new = verdict("track-0.2", life(90_000, FRAMES), FRAMES)
    assert new == Verdict(
        "track-0.2", "lived for 9500 frames, not judged  replaced another after 90000 frames", None
    )
    assert unjudged([old, new]) == set()
    assert unjudged([new]) == {"track-0"}


def test_descriptors_that_stay_open_are_a_leak() -> None:
    seen = [(n, mb, 10 + (n > 80_000)) for n, mb, _ in life(0, FRAMES)]
    assert verdict("hub.1", seen, FRAMES).grows
    assert not verdict("hub.1", life(0, FRAMES), FRAMES).grows


def test_a_process_without_a_number_has_replaced_nobody() -> None:
    assert "replaced" not in verdict("supervisor", life(0, FRAMES), FRAMES).text
