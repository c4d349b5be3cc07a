"""Which frames count as unchanged."""

import numpy as np

from onlooker.config.schema import SourceConfig
from onlooker.media.motion import Gate
from onlooker.media.open import frames
from onlooker.media.picture import Planes


class TestGate:
    def test_what_changes_little_is_the_same(self) -> None:
        gate = Gate(0.02)
        chroma = np.zeros((54, 96), np.uint8)
        still = np.full((108, 192), 90, np.uint8)
        noisy = still + np.random.default_rng(1).integers(0, 9, still.shape, np.uint8)
        moved = still.copy()
        moved[20:60, 20:60] = 200
        assert not gate.same(Planes(still, chroma, chroma))
        gate.looked_at()
        assert gate.same(Planes(noisy, chroma, chroma))
        assert not gate.same(Planes(moved, chroma, chroma))
        gate.looked_at()
        assert not gate.same(Planes(still, chroma, chroma))

    def test_slow_change_adds_up(self) -> None:
        """Frames are held against the last one looked at, not against the one before."""
        gate, chroma, looked = Gate(0.5), np.zeros((54, 96), np.uint8), 0
        for value in range(60, 120):
            if not gate.same(Planes(np.full((108, 192), value, np.uint8), chroma, chroma)):
                gate.looked_at()
                looked += 1
        assert looked == 5

    def test_marks_frames_of_a_video(self) -> None:
        source = SourceConfig(
            url="test://frozen?frames=10&size=64x48", policy="every", motion_threshold=0.01
        )
        found = list(frames("s", source, "e", 0))
        assert [frame.same for frame, _ in found] == [False] + [True] * 9
        assert [planes is None for _, planes in found] == [False] + [True] * 9
