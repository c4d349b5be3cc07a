"""Which frames count as unchanged."""

from collections.abc import Iterator

import numpy as np
from msgspec.structs import replace

from onlooker.config.schema import SourceConfig
from onlooker.media.motion import Gate, LiveGate
from onlooker.media.open import frames
from onlooker.media.picture import Planes
from onlooker.media.sampling import Pair, selected


class TestGate:
    def test_what_changes_little_is_the_same(self) -> None:
        gate = Gate(0.02)
        chroma = np.zeros((54, 96), np.uint8)
        still = np.full((108, 192), 90, np.uint8)
        noisy = still + np.random.default_rng(1).integers(0, 9, still.shape, np.uint8)
        moved = still.copy()
        moved[20:60, 20:60] = 200
        assert gate.same(Planes(still, chroma, chroma)) is None
        gate.refer(0)
        assert gate.same(Planes(noisy, chroma, chroma)) == 0
        assert gate.same(Planes(moved, chroma, chroma)) is None
        gate.refer(2)
        assert gate.same(Planes(still, chroma, chroma)) is None
        assert gate.same(Planes(moved, chroma, chroma)) == 2

    def test_slow_change_adds_up(self) -> None:
        """Frames are compared with the last one analysed, not with the one before."""
        gate, chroma, looked = Gate(0.5), np.zeros((54, 96), np.uint8), 0
        for value in range(60, 120):
            if gate.same(Planes(np.full((108, 192), value, np.uint8), chroma, chroma)) is None:
                gate.refer(value)
                looked += 1
        assert looked == 5

    def test_marks_frames_of_a_video(self) -> None:
        source = SourceConfig(
            url="test://frozen?frames=10&size=64x48", policy="every", motion_threshold=0.01
        )
        found = list(frames("s", source, "e", 0))
        assert [frame.same for frame, _ in found] == [None] + [0] * 9
        assert [planes is None for _, planes in found] == [False] + [True] * 9

    def test_a_damaged_frame_is_nobodys_reference(self) -> None:
        source = SourceConfig(
            url="test://frozen?frames=5&size=64x48", policy="every", motion_threshold=0.01
        )

        def damaged() -> Iterator[Pair]:
            whole = SourceConfig(url=source.url, policy="every")
            for frame, planes in frames("s", whole, "e", 0):
                if frame.index in (1, 3):
                    yield replace(frame, error="torn"), None
                else:
                    yield frame, planes

        found = [frame for frame, _ in selected(damaged(), source, 0)]
        assert [frame.same for frame in found] == [None, None, 0, None, 0]
        assert [frame.error for frame in found] == [None, "torn", None, "torn", None]


def flat(value: int) -> Planes:
    chroma = np.zeros((27, 48), np.uint8)
    return Planes(np.full((54, 96), value, np.uint8), chroma, chroma)


class TestLiveGate:
    def test_only_an_analysed_frame_is_repeated(self) -> None:
        gate = LiveGate(0.5)
        assert gate.same(flat(50)) is None
        gate.offered(7)
        assert gate.same(flat(50)) is None  # 7 may still fail
        gate.settled(7, done=True)
        assert gate.same(flat(50)) == 7
        assert gate.same(flat(200)) is None
        gate.offered(9)
        assert gate.same(flat(50)) == 7
        gate.settled(9, done=False)
        assert gate.same(flat(50)) == 7

    def test_a_still_scene_is_analysed_once_even_if_frames_come_faster_than_results(self) -> None:
        gate, latency = LiveGate(0.5), 3
        analysed: list[int] = []
        for index in range(50):
            if index - latency in analysed:
                gate.settled(index - latency, done=True)
            if gate.same(flat(50)) is None:
                gate.offered(index)
                analysed.append(index)
        assert analysed == [0, 1, 2]

    def test_the_newest_is_the_reference(self) -> None:
        gate = LiveGate(0.5)
        for index, value in ((1, 50), (2, 200)):
            gate.same(flat(value))
            gate.offered(index)
        gate.settled(2, done=True)
        gate.settled(1, done=True)
        assert gate.same(flat(200)) == 2
        assert gate.same(flat(50)) is None

    def test_without_a_threshold_every_frame_is_analysed(self) -> None:
        gate = LiveGate(None)
        gate.same(flat(50))
        gate.offered(1)
        gate.settled(1, done=True)
        assert gate.same(flat(50)) is None
