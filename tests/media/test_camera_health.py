"""Time stamps of cameras on our clock, and cameras whose image is frozen or black."""

import numpy as np
import pytest

from onlooker.media.camera_health import Clock, FreezeDetector
from onlooker.media.errors import MediaError
from onlooker.media.picture import Planes


class TestClock:
    def test_keeps_a_steady_camera(self) -> None:
        clock = Clock(2.0)
        found = [clock(1000 + n / 25, n / 25 + 0.3) for n in range(100)]
        assert [round(at, 6) for at, _ in found] == [round(0.3 + n / 25, 6) for n in range(100)]

    def test_sees_what_comes_late(self) -> None:
        clock = Clock(2.0)
        assert not any(clock(n / 25, n / 25)[1] for n in range(100))
        assert clock(4.0, 7.0)[1]  # after three seconds in which nothing came
        assert clock(4.04, 7.01)[1]
        assert not clock(7.0, 7.1)[1]

    def test_a_slow_clock_is_not_late(self) -> None:
        clock = Clock(2.0)
        assert not any(clock(n * 0.9995, float(n))[1] for n in range(20_000))

    @pytest.mark.parametrize("leap", [-3000.0, -7.0, 7.0, 3000.0, 1e9])
    def test_leaps(self, leap: float) -> None:
        clock, last = Clock(2.0), 0.0
        for number in range(500):
            stamp = number / 25 + leap * (number >= 250)
            at, _ = clock(stamp, number / 25)
            assert at >= last
            last = at
        # A leap back of a few seconds looks like lateness, which passes.
        assert abs(last - 499 / 25) < 8

    def test_without_stamps(self) -> None:
        clock = Clock(None)
        assert [clock(None, now) for now in (0.0, 1.0, 5.0)] == [
            (n, False) for n in (0.0, 1.0, 5.0)
        ]


class TestFreezeDetector:
    def picture(self, value: int, noise: int = 0) -> Planes:
        y = np.full((90, 160), value, np.uint8)
        y[0, :2] = divmod(noise, 251)
        chroma = np.full((45, 80), 128, np.uint8)
        return Planes(y, chroma, chroma)

    def test_frozen(self) -> None:
        freeze = FreezeDetector(10)
        for now in range(11):
            freeze(self.picture(90), float(now), "door")
        with pytest.raises(MediaError, match="door: the image is frozen for 10 s"):
            freeze(self.picture(90), 12.0, "door")

    def test_repeating(self) -> None:
        freeze = FreezeDetector(10)
        for now in range(13):
            freeze(self.picture(90, now % 3), float(now), "door")
        with pytest.raises(MediaError, match="the same 3 images repeat for 10 s"):
            freeze(self.picture(90, 13 % 3), 14.0, "door")

    def test_noise_is_alive(self) -> None:
        freeze = FreezeDetector(10)
        for now in range(1000):
            freeze(self.picture(90, now), now / 9, "door")  # raises where it takes it for frozen
        assert not freeze.black

    def test_a_black_image_is_reported_and_no_error(self) -> None:
        freeze = FreezeDetector(10)
        for now in range(50):
            freeze(self.picture(16), float(now), "door")
        assert freeze.black
        freeze(self.picture(90), 51.0, "door")
        assert not freeze.black
