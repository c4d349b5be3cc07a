"""Time stamps of cameras on our clock, and cameras whose image is frozen or black."""

import numpy as np
import pytest

from onlooker.media.camera_health import Clock, FreezeDetector
from onlooker.media.errors import MediaError
from onlooker.media.picture import Planes


class TestClock:
    def test_a_steady_camera_keeps_its_times(self) -> None:
        clock = Clock(2.0)
        found = [clock(1000 + n / 25, n / 25 + 0.3) for n in range(100)]
        assert [round(at, 6) for at, _ in found] == [round(0.3 + n / 25, 6) for n in range(100)]

    def test_late_frames_are_stale(self) -> None:
        clock = Clock(2.0)
        assert not any(clock(n / 25, n / 25)[1] for n in range(100))
        assert clock(4.0, 7.0)[1]  # after three seconds without a frame
        assert clock(4.04, 7.01)[1]
        assert not clock(7.0, 7.1)[1]

    def test_a_slow_clock_is_not_late(self) -> None:
        clock = Clock(2.0)
        assert not any(clock(n * 0.9995, float(n))[1] for n in range(20_000))

    @pytest.mark.parametrize("jump", [-3000.0, -7.0, 7.0, 3000.0, 1e9])
    def test_jumps(self, jump: float) -> None:
        clock, last = Clock(2.0), 0.0
        for number in range(500):
            stamp = number / 25 + jump * (number >= 250)
            at, _ = clock(stamp, number / 25)
            assert at >= last
            last = at
        # A jump back of a few seconds counts as lateness, which ends.
        assert abs(last - 499 / 25) < 8

    def test_without_time_stamps(self) -> None:
        clock = Clock(None)
        assert [clock(None, now) for now in (0.0, 1.0, 5.0)] == [
            (n, False) for n in (0.0, 1.0, 5.0)
        ]


class TestFreezeDetector:
    def planes(self, value: int, noise: int = 0) -> Planes:
        y = np.full((90, 160), value, np.uint8)
        y[0, :2] = divmod(noise, 251)
        chroma = np.full((45, 80), 128, np.uint8)
        return Planes(y, chroma, chroma)

    def test_frozen(self) -> None:
        freeze = FreezeDetector(10)
        for now in range(11):
            freeze(self.planes(90), float(now), "door")
        with pytest.raises(MediaError, match="door: the image is frozen for 10 s"):
            freeze(self.planes(90), 12.0, "door")

    def test_repeating(self) -> None:
        freeze = FreezeDetector(10)
        for now in range(13):
            freeze(self.planes(90, now % 3), float(now), "door")
        with pytest.raises(MediaError, match="the same 3 images repeat for 10 s"):
            freeze(self.planes(90, 13 % 3), 14.0, "door")

    def test_noise_is_not_frozen(self) -> None:
        freeze = FreezeDetector(10)
        for now in range(1000):
            freeze(self.planes(90, now), now / 9, "door")  # raises if it is taken for frozen
        assert not freeze.black

    def test_a_black_image_is_reported_and_no_error(self) -> None:
        freeze = FreezeDetector(10)
        for now in range(50):
            freeze(self.planes(16), float(now), "door")
        assert freeze.black
        freeze(self.planes(90), 51.0, "door")
        assert not freeze.black
