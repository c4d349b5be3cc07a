"""Time stamps: put in order, continued after jumps, and made where they are missing."""

from hypothesis import given
from hypothesis import strategies as st

from onlooker.media.timeline import B_FRAME, MAX_REORDERED, StampOrder, Timeline

P_FRAME = 2


def times(
    *stamps: int | None, keys: frozenset[int] = frozenset(), gap: int | None = None
) -> list[int]:
    """Return the timeline of frames of ten units each; `keys` are the places of key frames."""
    timeline = Timeline(0, 10, 100_000, gap)
    return [timeline(pts, place in keys) for place, pts in enumerate(stamps)]


def test_time_stamps_that_increase_are_kept() -> None:
    assert times(3, 13, 23, 5000, 5010) == [3, 13, 23, 5000, 5010]


def test_a_missing_time_stamp_is_one_frame_later() -> None:
    assert times(None, None, 20, None, 45) == [0, 10, 20, 30, 45]


def test_a_missing_time_stamp_is_one_duration_later() -> None:
    timeline = Timeline(0, 10, 100_000, None)
    found = [timeline(None, key=False, duration=duration) for duration in (15, 10, 15, 0, 10)]
    assert found == [0, 15, 25, 40, 50]


def test_a_recording_that_begins_anew_is_continued() -> None:
    assert times(0, 10, 20, 0, 10, 20, keys=frozenset((0, 3))) == [0, 10, 20, 30, 40, 50]
    far = times(0, 10, 20, 30, 40, 50, 60, 0, 10)
    assert far == [0, 10, 20, 30, 40, 50, 60, 70, 80]


def test_a_small_error_changes_no_other_time() -> None:
    assert times(0, 10, 30, 20, 40, 50) == [0, 10, 30, 32, 40, 50]
    assert times(0, 10, 10, 20, 30) == [0, 10, 12, 20, 30]


def test_a_gap_is_one_or_a_jump_by_the_container() -> None:
    assert times(0, 10, 90_000, 90_010) == [0, 10, 90_000, 90_010]
    assert times(0, 10, 90_000, 90_010, gap=5000) == [0, 10, 20, 30]


def test_a_frame_lasts_as_long_as_the_last_ones() -> None:
    stamps = [40 * number for number in range(10)]
    assert times(*stamps, 0, keys=frozenset((0, 10)))[-1] == 400


def test_dates_and_negative_times_begin_at_zero() -> None:
    assert times(1_700_000_000, 1_700_000_010) == [0, 10]
    assert times(-15, -5, 5) == [0, 10, 20]


@given(
    st.lists(st.tuples(st.none() | st.integers(-(2**40), 2**40), st.booleans()), max_size=40),
    st.none() | st.integers(1, 10**6),
)
def test_time_always_increases(frames: list[tuple[int | None, bool]], gap: int | None) -> None:
    timeline = Timeline(0, 10, 100_000, gap)
    found = [timeline(pts, key) for pts, key in frames]
    assert found == sorted(set(found))
    assert not found or found[0] >= 0


def shown(sent: list[int | None], order: list[tuple[int, int]]) -> list[int | None]:
    """Return the stamps of frames: after how many packets each is shown, and its packet's place."""
    stamps, found, fed = StampOrder(), [], 0
    for after, place in order:
        for pts in sent[fed:after]:
            stamps.sent(pts)
        fed = max(fed, after)
        kind = B_FRAME if place and place % 3 else P_FRAME
        found.append(stamps.of(sent[place], kind))
    return found


def test_stamps_in_the_order_of_decoding_are_sorted() -> None:
    # Shown: packet 0, then 2 and 1; 1 was decoded first because 2 depends on it.
    order = [(2, 0), (3, 2), (4, 1), (5, 4), (6, 3)]
    assert shown([0, 10, 20, 30, 40, 50], order) == [0, 10, 20, 30, 40]


def test_stamps_of_presentation_are_kept() -> None:
    order = [(2, 0), (3, 2), (4, 1), (5, 4), (6, 3)]
    assert shown([0, 20, 10, 40, 30, 60], order) == [0, 10, 20, 30, 40]


def test_missing_stamps_stay_missing() -> None:
    assert shown([None, None, None], [(1, 0), (2, 1), (3, 2)]) == [None, None, None]


def test_packets_without_a_frame_are_forgotten() -> None:
    stamps = StampOrder()
    for pts in range(0, 1000, 10):
        stamps.sent(pts)
        if pts == 500:
            stamps.refused(pts)
        elif pts % 30 == 0:  # two of three packets have none
            assert stamps.of(pts, P_FRAME) == pts
    assert len(stamps._waiting) <= MAX_REORDERED + 1
