"""A worker's step on frames as they travel: with their pixels, without, and too late."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from msgspec.structs import replace
from tests.support.frames import frame

from onlooker.stream import messages
from onlooker.stream.ring import Ring
from onlooker.stream.stage import Step
from onlooker.stream.worker import Work
from onlooker.types import Frame, TextQuad

if TYPE_CHECKING:
    from onlooker.media.image import Picture

CORNERS = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))


def brightness(frame: Frame, picture: "Picture") -> Frame:
    score = float(picture.small(8).mean())
    return replace(frame, quads=(TextQuad(quad=CORNERS, score=score),))


def write(ring: Ring, slot: int, grey: int) -> messages.Slot:
    y = np.full((4, 6), grey, np.uint8)
    chroma = np.full((2, 3), 128, np.uint8)
    return messages.Slot(str(ring.path), slot, ring.write(slot, y, chroma, chroma))


@pytest.fixture
def ring(tmp_path: Path) -> Iterator[Ring]:
    with Ring.create(tmp_path / "ring", 2, Ring.slot_bytes_for(6, 4)) as ring:
        yield ring


def seen(
    work: Work, slot: messages.Slot | None, failed: str | None = None
) -> tuple[Frame, str | None]:
    data, cause = work(messages.Job(1, slot, failed), messages.pack_frame(frame("a", 3)))
    return messages.unpack_frame(data), cause


def test_the_step_sees_the_pixels_of_the_slot(ring: Ring) -> None:
    work = Work("detect", brightness)
    for grey, expected in ((16, 0), (235, 255)):
        looked, cause = seen(work, write(ring, 0, grey))
        assert cause is None
        assert looked.quads[0].score == pytest.approx(expected, abs=1)
    assert work.seconds > 0


def test_a_frame_that_is_gone_has_failed(ring: Ring) -> None:
    slot = write(ring, 0, 16)
    write(ring, 0, 235)
    looked, cause = seen(Work("detect", brightness), slot)
    assert cause is not None
    assert cause.startswith("detect: FrameGone:")
    assert looked == frame("a", 3)


def test_a_frame_that_is_overwritten_meanwhile_has_failed(ring: Ring) -> None:
    def slow(frame: Frame, picture: "Picture") -> Frame:
        write(ring, 0, 235)
        return brightness(frame, picture)

    looked, cause = seen(Work("detect", slow), write(ring, 0, 16))
    assert cause == "detect: FrameGone: frame 3 of a was overwritten meanwhile"
    assert looked == frame("a", 3)


def test_a_frame_whose_ring_has_gone_has_failed(ring: Ring, tmp_path: Path) -> None:
    slot = write(ring, 0, 16)
    ring.unlink()
    _, cause = seen(Work("detect", brightness), slot)
    assert cause is not None
    assert cause.startswith("detect: FileNotFoundError:")


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks at what is mapped in /proc")
def test_rings_that_have_gone_are_let_go(ring: Ring, tmp_path: Path) -> None:
    work = Work("detect", brightness)
    seen(work, write(ring, 0, 16))
    ring.unlink()
    with Ring.create(tmp_path / "next", 2, Ring.slot_bytes_for(6, 4)) as following:
        seen(work, write(following, 0, 16))
        maps = Path("/proc/self/maps").read_text()
    assert maps.count(f"{ring.path} (deleted)") == 1  # the one that this test has


def test_a_step_that_raises_leaves_the_frame_as_it_was(ring: Ring) -> None:
    def broken(frame: Frame, picture: "Picture") -> Frame:
        raise ZeroDivisionError("no pixels per face")

    looked, cause = seen(Work("detect", broken), write(ring, 0, 16))
    assert cause == "detect: ZeroDivisionError: no pixels per face"
    assert looked == frame("a", 3)


def test_a_failed_frame_comes_with_its_error_and_without_pixels(ring: Ring) -> None:
    def log(frame: Frame, picture: "Picture") -> Frame:
        assert (picture.width, picture.height) == (0, 0)
        return frame

    looked, cause = seen(Work("record", log), write(ring, 0, 16), failed="detect: no")
    assert cause is None
    assert looked == frame("a", 3, error="detect: no")


def test_a_failed_frame_may_fail_again() -> None:
    step: Step = brightness
    looked, cause = seen(Work("record", step), None, failed="detect: no")
    assert cause == "record: LookupError: the frame has no picture"
    assert looked.error is None  # what failed first is the hub's to tell
