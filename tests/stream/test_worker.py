"""A worker's step on frames as they travel: with pixels, without, and with overwritten ones."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from msgspec.structs import replace
from tests.support.frames import frame
from tests.support.line import History

from onlooker.config.schema import Config, SourceConfig
from onlooker.record.log.states import StageState
from onlooker.stream import messages
from onlooker.stream.feeds import Feed
from onlooker.stream.outputs import Outputs
from onlooker.stream.ring import Ring
from onlooker.stream.stage import Setup, Work, each
from onlooker.stream.step_runner import StepRunner
from onlooker.stream.stream_states import StreamStates
from onlooker.stream.worker import StageWorker, receive_jobs
from onlooker.types import Frame, TextQuad

if TYPE_CHECKING:
    from onlooker.media.picture import Picture

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


def worker(
    stage: str, process: "Callable[[Frame, Picture], Frame]", ordered: bool = False
) -> StageWorker:
    return StageWorker(StepRunner(stage, each(process)), ordered)


def answer(
    work: StageWorker, slot: messages.Slot | None, failed: str | None = None
) -> tuple[Frame, str | None]:
    [done] = work([(messages.Job(1, slot, failed, None), messages.pack_frame(frame("a", 3)))])
    return messages.unpack_frame(done.data), done.failed


def test_the_step_sees_the_pixels_of_the_slot(ring: Ring) -> None:
    work = worker("detect", brightness)
    for grey, expected in ((16, 0), (235, 255)):
        looked, cause = answer(work, write(ring, 0, grey))
        assert cause is None
        assert looked.quads[0].score == pytest.approx(expected, abs=1)
    assert work.seconds > 0


def test_a_frame_that_is_gone_has_failed(ring: Ring) -> None:
    slot = write(ring, 0, 16)
    write(ring, 0, 235)
    looked, cause = answer(worker("detect", brightness), slot)
    assert cause is not None
    assert cause.startswith("detect: FrameGone:")
    assert looked == frame("a", 3)


def test_a_frame_that_is_overwritten_meanwhile_has_failed(ring: Ring) -> None:
    def slow(frame: Frame, picture: "Picture") -> Frame:
        write(ring, 0, 235)
        return brightness(frame, picture)

    looked, cause = answer(worker("detect", slow), write(ring, 0, 16))
    assert cause == "detect: FrameGone: frame 3 of a was overwritten"
    assert looked == frame("a", 3)


def test_a_frame_whose_ring_has_gone_has_failed(ring: Ring, tmp_path: Path) -> None:
    slot = write(ring, 0, 16)
    ring.unlink()
    _, cause = answer(worker("detect", brightness), slot)
    assert cause is not None
    assert cause.startswith("detect: FileNotFoundError:")


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks at what is mapped in /proc")
def test_rings_whose_file_has_gone_are_unmapped(ring: Ring, tmp_path: Path) -> None:
    work = worker("detect", brightness)
    answer(work, write(ring, 0, 16))
    ring.unlink()
    with Ring.create(tmp_path / "next", 2, Ring.slot_bytes_for(6, 4)) as following:
        answer(work, write(following, 0, 16))
        maps = Path("/proc/self/maps").read_text()
    assert maps.count(f"{ring.path} (deleted)") == 1  # the one that this test has


def test_a_step_that_raises_leaves_the_frame_as_it_was(ring: Ring) -> None:
    def broken(frame: Frame, picture: "Picture") -> Frame:
        raise ZeroDivisionError("no pixels per face")

    looked, cause = answer(worker("detect", broken), write(ring, 0, 16))
    assert cause == "detect: ZeroDivisionError: no pixels per face"
    assert looked == frame("a", 3)


def test_a_failed_frame_reaches_an_ordered_stage_with_its_error_and_without_an_image(
    ring: Ring,
) -> None:
    def log(frame: Frame, picture: "Picture") -> Frame:
        assert (picture.width, picture.height) == (0, 0)
        return frame

    done, cause = answer(worker("record", log, True), write(ring, 0, 16), failed="detect: no")
    assert cause is None
    assert done == frame("a", 3, error="detect: no")


def test_the_error_of_one_frame_among_several_is_its_own(ring: Ring) -> None:
    calls: list[int] = []

    def step(works: "Sequence[Work]") -> list[Frame]:
        calls.append(len(works))
        if any(work.frame.index == 1 for work in works):
            raise ArithmeticError("one is too much")
        return [brightness(*work) for work in works]

    slot = write(ring, 0, 235)
    jobs = [
        (messages.Job(lease, slot, None, None), messages.pack_frame(frame("a", lease)))
        for lease in range(3)
    ]
    done = StageWorker(StepRunner("detect", step), ordered=False)(jobs)
    assert calls == [3, 1, 1, 1]
    assert [each.lease for each in done] == [0, 1, 2]
    cause = "detect: ArithmeticError: one is too much"
    assert [each.failed for each in done] == [None, cause, None]
    frames = [messages.unpack_frame(each.data) for each in done]
    assert frames[1] == frame("a", 1)
    assert frames[2].quads[0].score == pytest.approx(255, abs=1)


def test_several_frames_one_of_which_has_gone_are_processed_together(ring: Ring) -> None:
    gone = write(ring, 0, 16)
    there = write(ring, 0, 235)
    jobs = [
        (messages.Job(lease, slot, None, None), messages.pack_frame(frame("a", lease)))
        for lease, slot in enumerate((gone, there))
    ]
    first, second = worker("detect", brightness)(jobs)
    assert first.failed is not None
    assert first.failed.startswith("detect: FrameGone:")
    assert second.failed is None
    assert messages.unpack_frame(second.data).quads[0].score == pytest.approx(255, abs=1)


def test_an_answer_tells_what_a_later_stage_must_know(ring: Ring) -> None:
    def refuse(known: Frame, picture: "Picture") -> Frame:
        if known.error is None:
            raise ArithmeticError("no")
        return known

    taken, cause = answer(worker("record", refuse, ordered=True), write(ring, 0, 16))
    assert cause == "record: ArithmeticError: no"
    assert taken == frame("a", 3, error=cause)  # as the ordered stage has taken it


def test_a_stateful_worker_restores_what_the_job_brings() -> None:
    def state(_: Frame) -> StageState | None:
        raise AssertionError("the log is not needed")

    def job(index: int, before: bytes | None) -> tuple[messages.Job, bytes]:
        return messages.Job(index, None, None, before), messages.pack_frame(frame("a", index))

    def stateful() -> StageWorker:
        step = History()
        return StageWorker(StepRunner("h", step, StreamStates("h", step, state)), ordered=True)

    earlier = replace(frame("a", 4), states={"h": b"3 4"})
    first, second = stateful()([job(5, messages.pack_frame(earlier)), job(6, None)])
    texts = [messages.unpack_frame(done.data).lines[0].text for done in (first, second)]
    assert texts == ["3 4 5", "3 4 5 6"]
    [third] = stateful()([job(7, second.data)])
    assert messages.unpack_frame(third.data).lines[0].text == "3 4 5 6 7"


class FakeHub:
    """A hub whose messages have arrived already."""

    def __init__(self, *inbox: messages.FromHub) -> None:
        self.inbox = list(inbox)

    def receive(self, wait: bool = True) -> tuple[messages.FromHub, bytes] | None:
        return (self.inbox.pop(0), b"") if self.inbox else None


def test_a_worker_takes_as_many_jobs_as_it_may_hold() -> None:
    jobs = [messages.Job(lease, None, None, None) for lease in range(3)]
    hub: Any = FakeHub(*jobs)
    assert receive_jobs(hub, 2) == ([(jobs[0], b""), (jobs[1], b"")], None)
    assert receive_jobs(hub, 2) == ([(jobs[2], b"")], None)
    assert receive_jobs(hub, 2) == ([], None)


def test_a_state_is_dropped_after_the_jobs_before_and_before_those_after() -> None:
    jobs = [messages.Job(lease, None, None, None) for lease in range(2)]
    hub: Any = FakeHub(jobs[0], messages.Release("a"), jobs[1])
    assert receive_jobs(hub, 9) == ([(jobs[0], b"")], "a")
    assert receive_jobs(hub, 9) == ([(jobs[1], b"")], None)


def test_images_of_poisoned_frames_are_kept(ring: Ring, tmp_path: Path) -> None:
    outputs = Outputs(log=tmp_path / "r.db")
    feed = Feed(stream="a", source=SourceConfig(url="a"), digest="e", outputs=outputs)
    setup = Setup(Config(), ExitStack(), lambda _: feed)
    runner = StepRunner("record", each(lambda known, picture: known))
    job = messages.Job(1, write(ring, 0, 235), f"detect: 2 {messages.POISONED}", None)
    StageWorker(runner, ordered=True, setup=setup)([(job, messages.pack_frame(frame("a", 3)))])
    [kept] = outputs.poisoned_path.iterdir()
    assert kept.name == "a-e-3.png"
    pixels = cv2.imread(str(kept))
    assert pixels is not None
    assert pixels.shape == (4, 6, 3)
    assert pixels.min() > 250
