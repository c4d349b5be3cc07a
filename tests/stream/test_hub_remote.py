"""The hub and the workers of other machines: what their loss says about frames."""

from tests.support.line import SETTINGS, Line, jobs

from onlooker.stream import messages
from onlooker.stream.scheduler import AHEAD


def test_the_silence_of_another_machines_worker_is_no_death_of_a_frame(line: Line) -> None:
    line.open("a")
    line.read("a.1")
    line.offer("a.1")
    for number in range(SETTINGS.attempts + 1):
        name = f"box/d{number}"
        line.join(name, "detect", remote=True)
        assert jobs(line, name) == [0]
        for _ in range(8):
            line.now += 0.5
            line.say("a.1/beat", messages.Heartbeat("a.1"))
            line.tick()
        assert name not in line.hub.status().alive
    line.join("d", "detect")
    assert jobs(line, "d") == [0]


def test_a_worker_whose_machine_left_has_not_died_over_its_frame(line: Line) -> None:
    line.open("a")
    line.read("a.1")
    line.offer("a.1")
    for number in range(SETTINGS.attempts + 1):
        line.join(f"d{number}", "detect", remote=True)
        assert jobs(line, f"d{number}") == [0]
        line.say(f"d{number}", messages.Died(f"d{number}", counted=False))
    line.join("d", "detect")
    assert jobs(line, "d") == [0]


def test_a_worker_of_another_machine_has_its_next_frames_while_it_works(line: Line) -> None:
    line.open("a")
    line.exchange("a.1")
    line.open("b")
    line.exchange("b.1")
    line.join("box/d", "detect", remote=True)
    for _ in range(3):
        line.offer("a.1")
        line.offer("b.1")
    assert len(jobs(line, "box/d")) == 1 + AHEAD
    line.join("d", "detect")
    assert len(jobs(line, "d")) == 1  # on one machine nothing is on its way


def test_a_frame_goes_to_a_free_worker_before_it_waits_behind_others(line: Line) -> None:
    line.open("a")
    line.exchange("a.1")
    line.join("box/d", "detect", remote=True)
    line.join("d", "detect")
    line.offer("a.1")
    line.offer("a.1")
    assert [len(jobs(line, name)) for name in ("box/d", "d")] == [1, 1]
    line.work("d")
    line.offer("a.1")
    assert jobs(line, "d") == [2]


def test_a_frame_over_which_a_worker_died_is_alone_on_another_machine_too(line: Line) -> None:
    line.open("a")
    line.exchange("a.1")
    line.join("d", "detect")
    line.offer("a.1")
    line.say("d", messages.Died("d"))
    line.join("box/d", "detect", remote=True)
    line.offer("a.1")
    assert jobs(line, "box/d") == [0]
