"""The selection of frames, against a naive one."""

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from onlooker.config.schema import SourceConfig
from onlooker.media.open import frames
from onlooker.media.picture import Planes
from onlooker.media.sampling import cropped
from onlooker.types import Frame

URL = "test://moving?size=64x48&fps=20&frames=100"


def selected(first: int = 0, **settings: Any) -> list[tuple[Frame, Planes | None]]:
    source = SourceConfig(url=URL, policy="every", **settings)
    return list(frames("s", source, "e", first))


class TestSelection:
    def test_all_frames_by_default(self) -> None:
        found = selected()
        assert [frame.index for frame, _ in found] == list(range(100))
        assert {frame.epoch for frame, _ in found} == {"e"}

    @given(
        nth=st.integers(1, 7),
        fps=st.none() | st.sampled_from([0.5, 1.0, 3.0, 7.0, 19.0, 20.0, 100.0]),
        start=st.floats(0, 4),
        length=st.none() | st.floats(0.01, 6),
    )
    def test_against_the_naive_selection(
        self, nth: int, fps: float | None, start: float, length: float | None
    ) -> None:
        end = None if length is None else start + length
        found = [frame.pts for frame, _ in selected(nth=nth, fps=fps, start=start, end=end)]
        kept: list[int] = []
        within = [n for n in range(100) if n / 20 >= start and (end is None or n / 20 < end)]
        for n in within[::nth]:
            # At most `fps` frames a second, and no frame is left out without need.
            if fps is None or len(kept) < (n / 20 + 0.0005) * fps or not kept:
                kept.append(n)
        assert set(found) <= set(within[::nth])
        if fps is None:
            assert found == kept
        else:
            for second in range(5):
                assert sum(second * 20 <= n < second * 20 + 20 for n in found) <= fps + 1

    def test_numbers_do_not_depend_on_the_start(self) -> None:
        settings: dict[str, Any] = {
            "nth": 3,
            "motion_threshold": 0.05,
            "region": (0.25, 0.0, 0.5, 1.0),
        }
        whole, later = selected(**settings), selected(7, **settings)
        assert [frame for frame, _ in later] == [frame for frame, _ in whole[7:]]
        assert [frame.index for frame, _ in whole] == list(range(34))

    def test_every_third_frame_is_searched(self) -> None:
        found = [(frame.index, frame.carried) for frame, _ in selected(detect_every=3, nth=2)]
        assert found == [(index, index % 3 > 0) for index in range(50)]
        same = selected(detect_every=3, motion_threshold=0.99)
        assert not any(frame.carried for frame, _ in same if frame.same is not None)

    def test_every_selection_has_another_epoch(self) -> None:
        selections = [
            SourceConfig(url=URL, **settings).selection()
            for settings in (
                {},
                {"fps": 5},
                {"nth": 2},
                {"start": 1},
                {"end": 2},
                {"motion_threshold": 0.1},
                {"detect_every": 2},
            )
        ]
        assert selections[0] == b""
        assert len(set(selections)) == len(selections)
        assert SourceConfig(url=URL, speed="8x").selection() == b""  # the speed does not matter

    def test_a_region_on_even_pixels(self) -> None:
        y = np.arange(48 * 64, dtype=np.uint8).reshape(48, 64)
        chroma = np.arange(24 * 32, dtype=np.uint8).reshape(24, 32)
        source = SourceConfig(url=URL, region=(0.26, 0.5, 0.5, 0.5))
        part, origin = cropped(Planes(y, chroma, chroma), source)
        assert origin == (16, 24)
        assert np.array_equal(part.y, y[24:48, 16:49])
        assert np.array_equal(part.u, chroma[12:24, 8:25])
